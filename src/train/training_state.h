#pragma once
// Everything that changes while a run trains, and its way to disk and back.

#include <filesystem>
#include <memory>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/pretrain_config.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/optim/loss_scaler.h"
#include "bertcram/optim/optimizer.h"
#include "bertcram/train/objective.h"
#include "bertcram/train/runtime.h"

namespace bertcram::train {

/// Whether all weights are numbers.
bool is_finite(nn::Parameters& parameters);

/// What a checkpoint holds of a model in training: views.
checkpoint::TrainTensors train_tensors(nn::Parameters& parameters, optim::Optimizer& optimizer);

/// Parameters, optimizer and position of a run. Its members refer to each other: it stays where it was made.
class TrainingState {
 public:
  TrainingState(const config::PretrainConfig& config, const model::EncoderShape& shape, const Runtime& runtime);
  TrainingState(const TrainingState&) = delete;
  TrainingState& operator=(const TrainingState&) = delete;

  nn::Parameters parameters;
  optim::Optimizer optimizer;
  optim::LossScaler scaler;
  std::unique_ptr<Objective> objective;
  checkpoint::TrainState position;

  checkpoint::TrainTensors tensors() { return train_tensors(parameters, optimizer); }
  /// Continues from this checkpoint. @throws DataError if it is damaged
  void load(const std::filesystem::path& checkpoint);

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
