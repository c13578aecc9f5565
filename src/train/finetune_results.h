#pragma once
// The output folder of finetune-glue: which (task, seed) units are finished, with which scores, and what they belong to.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/glue/results.h"
#include "bertcram/glue/task.h"

namespace bertcram::train {

/// results.json and settings.json (docs/formats.md). REQUIRES: the folder's lock is held.
class FinetuneResults {
 public:
  /// The folder has to be new, or to hold results: what is there gets replaced. @throws ConfigError
  static void refuse_foreign_folder(const std::filesystem::path& folder);

  /// Continues what is in the folder. @throws ConfigError if it comes from other settings or another model
  FinetuneResults(std::filesystem::path folder, const config::FinetuneConfig& config, const glue::Protocol& protocol);

  /// Scores belong to the files that they came from: remembers those of a task. @throws ConfigError for others
  void check_task_files(const glue::TaskSpec& task, const std::vector<std::filesystem::path>& files);

  bool has(const std::string& reported_name, int64_t seed) const;
  /// Adds a unit's scores to those in memory and tells the log.
  void record(glue::Metric primary, const std::string& reported_name, glue::SeedResult result);
  void save() const;

  const glue::GlueResults& scores() const { return scores_; }
  std::filesystem::path file() const { return folder_ / "results.json"; }

 private:
  std::filesystem::path settings_file() const { return folder_ / "settings.json"; }

  std::filesystem::path folder_;
  glue::GlueResults scores_;
  nlohmann::json settings_;
};

}  // namespace bertcram::train
