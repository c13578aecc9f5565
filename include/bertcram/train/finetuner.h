#pragma once
// Fine-tuning of many (task, seed) units, each done once.

#include <exception>
#include <filesystem>

#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/results.h"
#include "bertcram/monitor/run_events.h"
#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

struct FinetuneContext {
  const util::StopFlag& stop;
  monitor::RunEvents& events;  ///< hears of all but the end, of which the caller tells
  util::ProgressStyle progress = util::ProgressStyle::kAuto;
};

struct FinetuneOutcome {
  glue::GlueResults results;
  std::filesystem::path results_file;
  std::exception_ptr failure = nullptr;  ///< of the first task that has no result, beside others that have one
};

/// Fine-tunes and scores every run that the output folder does not hold yet, writing results.json after each. A task
/// whose data are unfit, or that diverges, does not stop the others.
/// @param config  with settled paths: config::with_settled_paths
/// @throws ConfigError if the output folder holds results of other settings or another model; DataError or DivergedError
/// if no task has a result; DataError if the model changes meanwhile; ResourceError; util::StoppedError
FinetuneOutcome run_finetune(const config::FinetuneConfig& config, const FinetuneContext& context);

}  // namespace bertcram::train
