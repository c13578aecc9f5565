#pragma once

#include <filesystem>

#include "bertcram/checkpoint/background_writer.h"
#include "bertcram/config/pretrain_config.h"
#include "training_state.h"

namespace bertcram::train {

/// When a run is saved, and how: in the background while it trains, at once when it stops.
class Checkpointing {
 public:
  Checkpointing(const config::CheckpointConfig& config, std::filesystem::path directory, TrainingState& state);

  /// The state was read from this run's checkpoint of its step, or, without one, from elsewhere.
  void starts_here(bool is_saved);
  /// By steps or by time.
  bool is_due() const;
  /// Copies the state and writes it while training goes on. What goes wrong is logged and tried again a minute of
  /// training later: a full disk must not end a run that can still be saved when there is room. Older checkpoints than
  /// the newest go first where there is none.
  void save_in_background();
  /// Returns when the state is on disk. A checkpoint of this step that is there already stays: only what is not in its
  /// tensors is replaced. @throws ResourceError
  void save_now();
  /// Logs what went wrong in the background.
  void poll();
  /// Until nothing is being written. @throws nothing: failures are logged
  void finish_writing();

 private:
  void start_writing();
  void note_failure(const std::exception& error);

  const config::CheckpointConfig& config_;
  std::filesystem::path directory_;
  TrainingState& state_;
  checkpoint::BackgroundWriter writer_;
  int64_t saved_step_;
  double saved_seconds_ = 0;
  double retry_seconds_ = 0;  ///< elapsed time of the next attempt after a failure; 0 = none failed
};

/// The configuration's rules. @param every_time a duration that was checked
checkpoint::Retention retention_of(const config::CheckpointConfig& config);

}  // namespace bertcram::train
