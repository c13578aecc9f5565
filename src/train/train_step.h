#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/schedule.h"
#include "bertcram/util/stop.h"
#include "pass_recorder.h"
#include "step_figures.h"
#include "training_state.h"

namespace bertcram::train {

/// One optimizer step of pretraining: draw, forward, backward, accumulate, in passes of a few rows; then clip and step.
class TrainStep {
 public:
  /// All must outlive it.
  TrainStep(const config::PretrainConfig& config, const Runtime& runtime, const data::MaskedBatches& batches,
            TrainingState& state);

  /// Takes the step and moves the state's position. A pass that finds no memory begins the step again with half of the
  /// rows per pass, and where a single row finds none, once more from the whole with recomputed activations; the
  /// mathematics stays the same. A gradient that is not finite leaves the weights as they are.
  /// @return nullopt if a stop came between two passes: nothing has changed then
  /// @throws DataError if there was nothing to predict; what the last attempt threw if a single row finds no memory
  /// @param before_update  sees the gradients, which are `divisor` times those of the mean loss
  std::optional<StepFigures> run(const StepSettings& settings, const util::StopFlag& stop,
                                 const std::function<void(double divisor)>& before_update = {});

  /// As configured; if that is `auto`, what an earlier session `stored`, or on a GPU the fastest that fits, with
  /// recomputed activations if not even one row fits without.
  /// @throws ResourceError if not even one row finds memory
  void choose_passes(const checkpoint::Passes& stored);
  /// The fastest that fit, by trying. @throws likewise
  void search_passes();
  checkpoint::Passes passes() const { return passes_; }
  /// Lets every phase end before the next begins, so that their times are the device's; for measuring, it costs time. Nothing is recorded then.
  void separate_phases() {
    is_separating_phases_ = true;
    release_memory();
  }
  /// Gives back memory of a GPU that the next step takes again; for what needs much of it between two steps.
  void release_memory() { pass_recorder_.forget(); }
  bool records() const { return pass_recorder_.is_on(); }  ///< passes as CUDA graphs

 private:
  struct Sums {
    BatchLoss loss;
    int64_t masked = 0;
    PhaseSeconds phases;
  };
  std::optional<double> seconds_of_pass(int64_t rows);
  double lap(std::chrono::steady_clock::time_point& since) const;
  std::optional<Sums> accumulate_or_back_off(const StepSettings& settings, const util::StopFlag& stop);
  BatchLoss run_pass(const data::MaskedBatch& batch, uint64_t key, PhaseSeconds& phases);
  bool can_record() const;
  std::optional<Sums> accumulate(const StepSettings& settings, const util::StopFlag& stop);

  const config::PretrainConfig& config_;
  const Runtime& runtime_;
  const data::MaskedBatches& batches_;
  TrainingState& state_;
  checkpoint::Passes passes_;
  PassRecorder pass_recorder_;
  bool is_separating_phases_ = false;
};

}  // namespace bertcram::train
