#include "bertcram/optim/optimizer.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "bertcram/optim/muon.h"

namespace bertcram::optim {

Optimizer::Optimizer(nn::Parameters& parameters, const config::OptimConfig& config)
    : parameters_(parameters),
      config_(config),
      first_moments_(at::zeros_like(parameters.masters())),
      second_moments_(at::zeros_like(parameters.masters())) {}

void Optimizer::update_by_adamw(nn::FlatRange range, double learning_rate, double weight_decay) {
  const auto [begin, size] = range;
  if (size == 0) {
    return;
  }
  std::vector<at::Tensor> masters = {parameters_.masters().narrow(0, begin, size)};
  std::vector<at::Tensor> gradients = {parameters_.gradients().narrow(0, begin, size)};
  std::vector<at::Tensor> first = {first_moments_.narrow(0, begin, size)};
  std::vector<at::Tensor> second = {second_moments_.narrow(0, begin, size)};
  // The op reads the number of this step from a device tensor for the bias correction.
  const std::vector<at::Tensor> steps = {
      at::full({}, static_cast<double>(steps_done_), parameters_.masters().options())};
  at::_fused_adamw_(masters, gradients, first, second, /*max_exp_avg_sqs=*/{}, steps, learning_rate, config_.beta1,
                    config_.beta2, weight_decay, config_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
}

void Optimizer::update_by_muon(double learning_rate) {
  const auto weights = parameters_.matrix_views(parameters_.masters());
  const auto gradients = parameters_.matrix_views(parameters_.gradients());
  const auto momenta = parameters_.matrix_views(first_moments_);
  const MuonOptions options = {.learning_rate = learning_rate * config_.muon_rate_factor,
                               .momentum = config_.muon_momentum,
                               .weight_decay = config_.weight_decay};
  for (size_t i = 0; i < weights.size(); ++i) {
    muon_update(weights[i], gradients[i], momenta[i], options, parameters_.compute_type());
  }
}

StepReport Optimizer::step(double learning_rate, double divisor) {
  const c10::NoGradGuard no_grad;
  at::Tensor& gradients = parameters_.gradients();
  const double norm = gradients.norm().item<double>() / divisor;
  if (!std::isfinite(norm)) {
    parameters_.zero_gradients();
    return {.gradient_norm = norm, .is_finite = false};
  }
  const bool is_clipped = config_.clip_norm > 0 && norm > config_.clip_norm;
  gradients.mul_((is_clipped ? config_.clip_norm / norm : 1.0) / divisor);
  ++steps_done_;
  if (config_.algorithm == config::Algorithm::kMuon) {
    update_by_muon(learning_rate);
  } else {
    update_by_adamw(parameters_.range_of(nn::Group::kMatrix), learning_rate, config_.weight_decay);
  }
  update_by_adamw(parameters_.range_of(nn::Group::kTable), learning_rate, config_.table_weight_decay);
  update_by_adamw(parameters_.range_of(nn::Group::kVector), learning_rate, 0.0);
  parameters_.sync_compute();
  parameters_.zero_gradients();
  return {.gradient_norm = norm, .is_finite = true};
}

}  // namespace bertcram::optim
