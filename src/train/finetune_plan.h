#pragma once
// What a finetune-glue command has to do: its tasks, read and encoded, and the runs in the order in which they start.

#include <cstddef>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/glue/unit.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/task_runner.h"

namespace bertcram::train {

inline constexpr const char* kFinetuneRoom = "finetune-glue";  ///< the log's name for the command

/// A dev set, and the task by whose rules it is judged: AX is scored by MNLI's model, but not by MNLI's metric.
struct DevSet {
  glue::TaskSpec judge;
  EncodedSplit split;
};

/// A task's data, ready to train on.
struct LoadedTask {
  glue::TaskSpec spec;
  glue::FinetuneRecipe recipe;  ///< the protocol's with the user's changes
  int64_t max_tokens = 0;       ///< that texts are cut to
  EncodedSplit train = {};
  std::vector<DevSet> dev = {};
  std::vector<std::filesystem::path> files = {};            ///< of its own sets
  std::vector<std::filesystem::path> scored_files = {};     ///< of other sets that are scored with it
  std::map<std::string, std::exception_ptr> left_out = {};  ///< sets scored with it that could not be read, and why
};

/// The settings, but those that are the protocol's own for every task count as not given. @throws ConfigError
/// for a dropout that is none
config::FinetuneConfig without_protocol_values(config::FinetuneConfig config, const glue::Protocol& protocol);

/// The tasks that a command names, those that others start from first. With `all`, tasks without a training set are warned
/// about and left out. @throws ConfigError, DataError
std::vector<glue::TaskSpec> chosen_tasks(const config::FinetuneConfig& config, const glue::Protocol& protocol);

/// The protocol's recipe with the user's changes. @throws ConfigError
glue::FinetuneRecipe chosen_recipe(const config::FinetuneConfig& config, const glue::Protocol& protocol,
                                   const glue::TaskSpec& task);

/// Reads and encodes a task's training and dev sets; logs what was cut or left out. @throws DataError, ConfigError
LoadedTask load_task(const glue::TaskSpec& spec, const glue::FinetuneRecipe& recipe, const std::filesystem::path& data,
                     const checkpoint::ModelDirectory& model);

/// A run of a task.
struct PlannedUnit {
  glue::UnitId id;
  std::string start_from = {};  ///< task of whose first run's model it begins with; empty: the pretrained model
};

inline constexpr int64_t kStartSeed = 0;  ///< of the run that other tasks start from, whatever seeds a command asks for

/// Whether the command names the task; if not, it is only there for others to start from.
bool is_asked_for(const config::FinetuneConfig& config, const glue::TaskSpec& task);

/// The task whose model runs begin with; empty: the pretrained model, or none.
std::string start_of(const config::FinetuneConfig& config, const glue::FinetuneRecipe& recipe);

/// Those that others of the tasks start from.
std::set<std::string> start_tasks(const config::FinetuneConfig& config, const glue::Protocol& protocol,
                                  const std::vector<glue::TaskSpec>& tasks);

/// All runs of a task: seeds, and for each the points of a grid. Of one of the `starts`, the run that others start from too,
/// and nothing else if the command does not name the task.
std::vector<PlannedUnit> units_of(const glue::TaskSpec& task, const glue::FinetuneRecipe& recipe,
                                  const config::FinetuneConfig& config, const std::set<std::string>& starts);

/// What a command has to run.
struct Workload {
  int64_t runs = 0;
  int64_t batch_tokens = 0;  ///< of its largest batch
};

/// How many runs go at the same time, as configured. `auto`: on a CPU one run per thread, as runs that do not wait for each
/// other use the cores best, as far as two thirds of the memory (of the machine, or as limited) hold them: parameters,
/// gradient and moments, and what a batch keeps for its backward pass, some 40 numbers per hidden one and layer: an estimate.
/// It does not follow from what is left to do, as the threads of a run are part of its arithmetic. On a GPU: one.
int64_t runs_side_by_side(const config::FinetuneConfig& config, const Runtime& runtime,
                          const model::EncoderShape& shape, const Workload& work);

}  // namespace bertcram::train
