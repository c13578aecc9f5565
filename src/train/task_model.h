#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/glue/reader.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/task_runner.h"

namespace bertcram::train {

/// A fine-tuned model that answers a task.
class TaskModel {
 public:
  /// @throws DataError if the folder holds no classifier with the task's labels, or is damaged
  TaskModel(const std::filesystem::path& folder, const glue::TaskSpec& task, const config::RuntimeConfig& runtime);

  EncodedSplit encode(glue::Dataset dataset, const std::string& reported_name) const;
  /// Rows of outputs in the order of the task's labels. @return nullopt when asked to stop on the way
  /// @throws DataError if they are not numbers, as those of damaged weights
  std::optional<std::vector<float>> outputs(const EncodedSplit& split, const util::StopFlag& stop) const;

 private:
  checkpoint::ModelDirectory source_;
  std::vector<int64_t> columns_;  ///< of the classes; empty for a score
  Runtime runtime_;
  LoadedModel model_;
  int64_t max_tokens_;
};

}  // namespace bertcram::train
