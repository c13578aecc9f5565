#pragma once
// What finetune-glue does once its runs are done: test predictions of the best models and the zip of them, the most
// confident mistakes, and what a bag of words scores.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/results.h"
#include "bertcram/glue/task.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// The best run of a task.
struct BestRun {
  glue::TaskSpec task;
  std::filesystem::path folder;  ///< with its predictions, and its model if that was kept
  std::string name;              ///< of the folder
};

/// Where the zip goes: as configured, `zip` meaning submission.zip in the output folder.
std::filesystem::path submission_path(const config::FinetuneConfig& config, const std::filesystem::path& output);

/// @throws ConfigError if the command's tasks and data leave a part of the submission open that it was not told to fill, or
/// its models are not kept
void check_submission(const config::FinetuneConfig& config, const std::vector<glue::TaskSpec>& tasks);

/// Answers the test sets into OUTPUT/test/NAME.tsv, unless that was done with the same run, and writes the zip.
/// @throws DataError, ResourceError, util::StoppedError
void write_submission(const config::FinetuneConfig& config, const std::filesystem::path& output,
                      const std::vector<BestRun>& runs, const util::StopFlag& stop);

/// Writes OUTPUT/errors.tsv. @throws DataError, ResourceError
void write_mistakes(const config::FinetuneConfig& config, const std::filesystem::path& output,
                    const std::vector<BestRun>& runs);

/// Sets the baselines of the tasks that are in the results. @throws DataError
void add_baselines(glue::GlueResults& results, const std::vector<BestRun>& runs, const std::filesystem::path& data);

}  // namespace bertcram::train
