#include "bertcram/optim/adamw.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace bertcram::optim {

AdamW::AdamW(nn::Parameters& parameters, const config::OptimConfig& config)
    : parameters_(parameters),
      config_(config),
      first_moments_(at::zeros_like(parameters.masters())),
      second_moments_(at::zeros_like(parameters.masters())) {}

void AdamW::update_range(int64_t begin, int64_t size, double learning_rate, double weight_decay) {
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

StepReport AdamW::step(double learning_rate, double divisor) {
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
  const int64_t decayed = parameters_.decayed_size();
  update_range(0, decayed, learning_rate, config_.weight_decay);
  update_range(decayed, gradients.numel() - decayed, learning_rate, 0.0);
  parameters_.sync_compute();
  parameters_.zero_gradients();
  return {.gradient_norm = norm, .is_finite = true};
}

}  // namespace bertcram::optim
