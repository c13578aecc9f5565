#pragma once
// Everything that changes while a pretraining run trains, and the models that come of it.

#include <filesystem>
#include <memory>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/pretrain_config.h"
#include "bertcram/train/objective.h"
#include "bertcram/train/runtime.h"
#include "trainable_weights.h"

namespace bertcram::train {

/// The weights of a run, and the objective by which they are trained.
class TrainingState : public TrainableWeights {
 public:
  TrainingState(const config::PretrainConfig& config, const model::EncoderShape& shape, const Runtime& runtime);

  std::unique_ptr<Objective> objective;

  /// Writes the models of the objective into the run's folder.
  void write_models(const std::filesystem::path& run, const text::Tokenizer& tokenizer);
  /// The same for a run that is stopped, whose state is saved: it continues without them. That they cannot be written, or
  /// that weights are no numbers, is logged.
  void leave_models(const std::filesystem::path& run, const text::Tokenizer& tokenizer) noexcept;
  /// Whether they are there, bit for bit.
  bool has_models(const std::filesystem::path& run, const text::Tokenizer& tokenizer);

 private:
  checkpoint::StoredModel stored(const TrainedModel& model);
};

}  // namespace bertcram::train
