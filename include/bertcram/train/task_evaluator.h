#pragma once
// A fine-tuned model on the dev sets of its task.

#include <filesystem>
#include <map>
#include <string>

#include "bertcram/config/train_config.h"
#include "bertcram/glue/metrics.h"
#include "bertcram/glue/task.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// Scores a fine-tuned model folder on the dev splits of a task: metrics (0..100) by reported name.
/// @throws DataError if it is no classifier for these labels, or the data is damaged; util::StoppedError
std::map<std::string, glue::MetricValues> evaluate_task(const std::filesystem::path& model_directory,
                                                        const glue::TaskSpec& task,
                                                        const std::filesystem::path& data_directory,
                                                        const config::RuntimeConfig& runtime,
                                                        const util::StopFlag& stop);

}  // namespace bertcram::train
