#pragma once
// What a finetune-glue command has to do: its tasks, read and encoded, and the runs in the order in which they start.

#include <cstddef>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/glue/unit.h"
#include "bertcram/train/task_runner.h"

namespace bertcram::train {

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
  std::vector<std::filesystem::path> files = {};  ///< read for it
};

/// The tasks that a command names, those that others start from first. With `all`, tasks whose files are not there are
/// warned about and left out. @throws ConfigError, DataError
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

/// All runs of a task: seeds, and for each the points of a grid.
std::vector<PlannedUnit> units_of(const glue::TaskSpec& task, const glue::FinetuneRecipe& recipe,
                                  const config::FinetuneConfig& config);

/// How many runs two thirds of the memory (of the machine, or as limited) hold: parameters, gradient and moments, and what a
/// batch of so many tokens keeps for its backward pass, some 40 numbers per hidden one and layer: an estimate.
int64_t runs_in_memory(const config::FinetuneConfig& config, const model::EncoderShape& shape, int64_t batch_tokens);

}  // namespace bertcram::train
