#pragma once
// What finetune-glue does once its runs are done: test predictions of the best models and the zip of them, the most
// confident mistakes, and what a bag of words scores.

#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/results.h"
#include "bertcram/glue/task.h"
#include "bertcram/glue/unit.h"
#include "bertcram/util/stop.h"
#include "counted_runs.h"
#include "finetune_folder.h"

namespace bertcram::train {

/// The best run of a task.
struct BestRun {
  glue::TaskSpec task;
  glue::UnitId id;
  std::filesystem::path folder;  ///< with its predictions, and its model if that was kept
};

struct BestRuns {
  std::vector<BestRun> asked;   ///< of the tasks of the command
  std::vector<BestRun> others;  ///< of tasks of GLUE that other commands ran
};

/// Of all tasks that have runs and have not failed. @param tasks  of the command
BestRuns best_runs(const FinetuneFolder& folder, const glue::GlueResults& results, const CountedRuns& runs,
                   const std::vector<glue::TaskSpec>& tasks);

/// @throws ConfigError if the command's tasks, models that others kept, and data leave a part of the submission open that it was not told to fill, or
/// its models are not kept, or the zip has no place; DataError if a test set cannot be read, which nobody wants to learn after hours of training
void check_submission(const config::FinetuneConfig& config, const std::vector<glue::TaskSpec>& tasks);

/// Makes what the configuration asks for: the baselines of the tasks in the results, which are saved again; errors.tsv;
/// answers to the test sets in test/NAME.tsv, unless that was done with the same run, and the zip of them, for which models
/// that other commands kept answer too. A part that fails leaves the others: it is logged, or becomes `failure` if that is none yet.
/// @throws util::StoppedError
void make_outputs(const config::FinetuneConfig& config, FinetuneFolder& folder, const BestRuns& runs,
                  const util::StopFlag& stop, glue::GlueResults& results, std::exception_ptr& failure);

}  // namespace bertcram::train
