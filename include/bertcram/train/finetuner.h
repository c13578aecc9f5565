#pragma once
// Fine-tuning of many (task, seed) units, each done once.

#include <filesystem>

#include "bertcram/config/finetune_config.h"
#include "bertcram/glue/results.h"
#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

struct FinetuneContext {
  const util::StopFlag& stop;
  util::ProgressStyle progress = util::ProgressStyle::kAuto;
};

struct FinetuneOutcome {
  glue::GlueResults results;
  std::filesystem::path results_file;
};

/// Fine-tunes and scores every (task, seed) that results.json does not hold yet, writing it after each.
/// @throws ConfigError if the output folder holds results of other settings or another model; DataError,
/// DivergedError, util::StoppedError
FinetuneOutcome run_finetune(const config::FinetuneConfig& config, const FinetuneContext& context);

}  // namespace bertcram::train
