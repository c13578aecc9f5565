#pragma once
// The pretraining run: from packed data to a model, through any number of interruptions.

#include <filesystem>
#include <optional>
#include <string>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/monitor/run_events.h"
#include "bertcram/train/held_out.h"
#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// What to do with checkpoints that are already in the run's folder.
struct ResumeChoice {
  enum class Kind { kAuto, kNever, kPath };
  Kind kind = Kind::kAuto;
  std::filesystem::path path;  ///< kPath: the checkpoint to start from
};

struct PretrainContext {
  const util::StopFlag& stop;
  monitor::RunEvents& events;  ///< hears of the start, evaluations, and going back; of the end the caller tells
  util::ProgressStyle progress = util::ProgressStyle::kAuto;
  ResumeChoice resume;
  bool may_change_config = false;  ///< a run may go on with settings that are not built into its weights
};

struct PretrainResult {
  std::filesystem::path model;
  std::optional<std::filesystem::path> generator;  ///< of replaced-token detection: the masked LM beside the model
  int64_t steps = 0;
  int64_t tokens = 0;
  double elapsed_seconds = 0;
  double unigram_entropy = 0;  ///< of the training data, nats per token
  /// Of all validation rows, or of as many as a time budget left time for; nullopt if there are none.
  std::optional<HeldOutScores> held_out;
};

/// Trains until the budget is spent, writing checkpoints on the way; continues from the newest valid one.
/// A finished run is left as it is.
/// @throws util::StoppedError, as a rule after writing a checkpoint. None is written before training begins, while steps
/// are being skipped and an earlier one is there, of weights that are no numbers, and while a finished run is scored again.
/// @throws DataError, ConfigError, ResourceError, DivergedError
PretrainResult run_pretrain(const config::PretrainConfig& config, const PretrainContext& context);

}  // namespace bertcram::train
