#include "trainable_weights.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/aminmax.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bertcram/util/error.h"

namespace bertcram::train {
namespace {

bool are_finite(const at::Tensor& values) {
  const auto [lowest, highest] = at::aminmax(values);  // a reduction: memory may be tight; NaN is both
  return std::isfinite(lowest.item<double>()) && std::isfinite(highest.item<double>());
}

}  // namespace

bool is_finite(nn::Parameters& parameters) {
  // The gaps between them, which no checkpoint has, may hold what an update with an infinite rate left.
  return are_finite(parameters.masters()) ||
         std::ranges::all_of(parameters.stored_views(parameters.masters()), are_finite, &nn::NamedTensor::tensor);
}

TrainableWeights::TrainableWeights(std::vector<nn::ParameterSpec> specs, const config::OptimConfig& config,
                                   const Runtime& runtime)
    : parameters(std::move(specs), runtime.compute_type, runtime.device),
      optimizer(parameters, config),
      scaler(runtime.compute_type) {}

checkpoint::TrainTensors TrainableWeights::tensors() {
  return {.masters = parameters.stored_views(parameters.masters()),
          .first_moments = parameters.stored_views(optimizer.first_moments()),
          .second_moments = parameters.stored_views(optimizer.second_moments())};
}

void TrainableWeights::load(const std::filesystem::path& checkpoint) {
  position = checkpoint::load_checkpoint(checkpoint, tensors());
  if (!is_finite(parameters)) {
    throw DataError(cat(checkpoint.string(), ": its weights are not all numbers"));
  }
  optimizer.restore_steps(position.optimizer_steps);
  scaler.restore(position.loss_scale);
  parameters.sync_compute();
}

UpdateReport TrainableWeights::update(double learning_rate, double predictions) {
  const optim::StepReport report = optimizer.step(learning_rate, divisor(predictions));
  const bool is_overflow = scaler.update(report.is_finite);
  position.optimizer_steps = optimizer.steps_done();
  position.loss_scale = scaler.state();
  return {.gradient_norm = report.gradient_norm,
          .outcome = report.is_finite ? StepOutcome::kDone
                     : is_overflow    ? StepOutcome::kScaleOverflow
                                      : StepOutcome::kNotFinite};
}

}  // namespace bertcram::train
