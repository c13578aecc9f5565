#pragma once
// The output folder of finetune-glue: what it belongs to, its units, and the results that are made from them.

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/glue/results.h"
#include "bertcram/glue/task.h"
#include "bertcram/glue/unit.h"
#include "counted_runs.h"
#include "pretrained_model.h"

namespace bertcram::train {

/// Which models of a task's runs stay.
struct KeptModels {
  config::SaveModels which = config::SaveModels::kBest;
  bool is_complete = true;  ///< all runs of the command are done; before, the best one of each rate of a search stays
  std::function<bool(const glue::UnitId&)> is_needed = {};  ///< whether a model has to stay for another reason
};

/// settings.json, results.json and a folder per unit (docs/formats.md). REQUIRES: the folder's lock is held.
class FinetuneFolder {
 public:
  /// The folder has to be new, or to hold results: what is there gets replaced. @throws ConfigError
  static void refuse_foreign(const std::filesystem::path& folder);

  /// Continues what is in the folder.
  /// @throws ConfigError if it comes from other settings or another model; DataError if results.json is not what was
  /// written
  FinetuneFolder(std::filesystem::path folder, const config::FinetuneConfig& config, const glue::Protocol& protocol,
                 const PretrainedModel& model);

  /// Scores belong to the files that they came from: remembers those of a task. @param owner  whose runs give its scores
  /// @param once_with  files that older versions counted among them  @throws ConfigError for other files than there were
  void check_task_files(const glue::TaskSpec& task, const std::vector<std::filesystem::path>& files,
                        const std::string& owner, const std::vector<std::filesystem::path>& once_with = {});

  /// An own task of this or another command, as far as its results need it, or a built-in one; nullopt for others.
  std::optional<glue::TaskSpec> known_task(const std::string& name) const;

  std::filesystem::path path_of(const glue::UnitId& unit) const { return folder_ / unit.folder(); }
  std::filesystem::path model_of(const glue::UnitId& unit) const;
  bool has_model(const glue::UnitId& unit) const;
  std::filesystem::path results_file() const { return folder_ / "results.json"; }
  std::filesystem::path file(const std::string& name) const { return folder_ / name; }

  /// What the user changed of the protocol.
  const std::map<std::string, std::string>& overrides() const { return overrides_; }

  /// What a bag of words scores on a task's development sets, by their reported names; kept for later commands. Nothing
  /// if that is empty.
  void note_baselines(const std::string& task, const std::map<std::string, double>& scores);
  bool has_baselines(const std::string& task) const;
  /// Sets those of the tasks in the results.
  void add_baselines(glue::GlueResults& results) const;

  /// A run of the task failed: it has no result, for all commands until one of them forgets that.
  void note_failure(const std::string& task, const std::string& reason);
  void forget_failure(const std::string& task);
  /// Task → why it has none.
  std::map<std::string, std::string> failures() const;

  /// The runs that are done, but for those in folders of these names. Damaged ones are warned about and left out.
  std::vector<glue::UnitRecord> units_but(const std::set<std::string>& names) const;

  /// Removes the models of a task's runs that need not stay; a link with the task's name leads to the best.
  /// @param metric  by which the best is told
  void keep_models(const std::vector<glue::UnitRecord>& records, const std::string& metric,
                   const KeptModels& kept) const;

  /// Makes results and results.json of these runs, leaving out tasks that have failed: those of this command, and those that
  /// have runs here and failed in an earlier one.
  void publish(glue::GlueResults& results, const CountedRuns::ByTask& runs,
               const std::map<std::string, std::string>& failed);

  /// Writes results.json, and remembers it.
  void save(const glue::GlueResults& results);

 private:
  std::filesystem::path settings_file() const { return folder_ / "settings.json"; }
  void save_settings();
  void note_own_task(const glue::TaskSpec& task);

  std::filesystem::path folder_;
  std::map<std::string, std::string> overrides_;
  nlohmann::json settings_;
};

}  // namespace bertcram::train
