#pragma once
// What pretraining and fine-tuning change with every step, and its way to disk and back.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/config/train_config.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/optim/loss_scaler.h"
#include "bertcram/optim/optimizer.h"
#include "bertcram/train/runtime.h"
#include "step_figures.h"

namespace bertcram::train {

/// Whether all weights are numbers.
bool is_finite(nn::Parameters& parameters);

/// What an update did.
struct UpdateReport {
  double gradient_norm = 0;  ///< before clipping, of the mean gradient
  StepOutcome outcome = StepOutcome::kDone;
};

/// The weights of a model in training, what updates them, and where they stand. Its members refer to each other: it stays
/// where it was made.
class TrainableWeights {
 public:
  /// Zeros, to be initialised or loaded.
  TrainableWeights(std::vector<nn::ParameterSpec> specs, const config::OptimConfig& config, const Runtime& runtime);
  TrainableWeights(const TrainableWeights&) = delete;
  TrainableWeights& operator=(const TrainableWeights&) = delete;

  nn::Parameters parameters;
  optim::Optimizer optimizer;
  optim::LossScaler scaler;
  checkpoint::TrainState position;  ///< of it, update() and load() keep what the optimizer and the scale stand at

  /// What a checkpoint holds of them: views.
  checkpoint::TrainTensors tensors();
  /// Continues from this checkpoint.
  /// @throws DataError if it is damaged, or its weights are not all numbers: tensors and position may be its own then
  void load(const std::filesystem::path& checkpoint);

  /// Adds the gradients of a pass. @param loss  [] a sum over its predictions
  void backward(const at::Tensor& loss) const { loss.mul(scaler.factor()).backward(); }
  /// By how much the gradients are too large before the update. @param predictions  of the whole batch
  double divisor(double predictions) const { return predictions * scaler.factor(); }
  /// Moves the weights by the gradients, which are zero afterwards; if one is not finite, the weights stay.
  UpdateReport update(double learning_rate, double predictions);
};

}  // namespace bertcram::train
