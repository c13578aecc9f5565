#pragma once

#include <filesystem>
#include <limits>

#include "bertcram/checkpoint/background_writer.h"
#include "bertcram/config/pretrain_config.h"
#include "training_state.h"

namespace bertcram::train {

/// When a run is saved, and how: in the background while it trains, at once when it stops.
class Checkpointing {
 public:
  Checkpointing(const config::CheckpointConfig& config, std::filesystem::path directory, TrainingState& state);

  /// The state was read from this run's checkpoint of its step, or, if not, from elsewhere.
  void starts_here(bool is_saved);
  /// Where the best is kept, a checkpoint is due where it was measured.
  void after_evaluation(double held_out_loss);
  /// By steps, by time, after the best evaluation so far, or because the last attempt failed a minute of training ago.
  bool is_due() const;
  /// Copies the state and writes it while training goes on; without memory for a copy, it is written at once. What goes
  /// wrong is logged and tried again: a full disk must not end a run that can still be saved when there is room. Older
  /// checkpoints give way where there is none.
  void save_in_background();
  /// Returns when the state is on disk. A checkpoint of this step that is there already stays: only what is not in its
  /// tensors is replaced. @throws ResourceError; filesystem_error if what has to give way cannot be removed
  void save_now();
  /// Logs what went wrong in the background.
  void poll();
  /// Until nothing is being written; failures are logged.
  void finish_writing();

  /// Whether the state is on disk as it is now, or being written: finish_writing() tells whether that works.
  bool is_saved() const { return saved_step_ == state_.position.step; }
  /// Whether a checkpoint is on disk; waits for one that is being written.
  bool has_any();

  /// What writing the last one took; 0 = none yet.
  double seconds_of_last() const { return writer_.seconds_of_last(); }

 private:
  static constexpr double kNoLoss = std::numeric_limits<double>::infinity();

  void make_room();
  void is_saving();
  /// @param step  that was to be saved
  void note_failure(int64_t step, const std::exception& error);

  const config::CheckpointConfig& config_;
  std::filesystem::path directory_;
  TrainingState& state_;
  checkpoint::BackgroundWriter writer_;
  int64_t saved_step_;          ///< or being written
  double best_loss_ = kNoLoss;  ///< of this session
  bool is_best_ = false;        ///< and not saved yet
  double saved_seconds_ = 0;
  double retry_seconds_ = 0;  ///< elapsed time of the next attempt after a failure; 0 = none failed
};

/// The configuration's rules.
checkpoint::Retention retention_of(const config::CheckpointConfig& config);

}  // namespace bertcram::train
