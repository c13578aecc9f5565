#include "bertcram/optim/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "adamw.h"
#include "bertcram/nn/fused.h"
#include "bertcram/nn/gpu_adamw.h"
#include "bertcram/optim/muon.h"

namespace bertcram::optim {
namespace {

/// On CPUs LibTorch's own adds the squares in fp32 one by one: of 17 million equal numbers it is 1 % too small. Rows are short enough for that.
double norm_of(const at::Tensor& flat) {
  if (!flat.is_cpu()) {
    return flat.norm().item<double>();  // a tree of sums
  }
  constexpr int64_t kRow = 4096;
  const int64_t rows = flat.numel() / kRow;
  const at::Tensor norms = flat.narrow(0, 0, rows * kRow).view({rows, kRow}).norm(2, {1});
  const at::Tensor rest = flat.narrow(0, rows * kRow, flat.numel() - rows * kRow);
  return std::hypot(norms.to(at::kDouble).norm().item<double>(), rest.norm().item<double>());
}

}  // namespace

Optimizer::Optimizer(nn::Parameters& parameters, const config::OptimConfig& config)
    : parameters_(parameters),
      config_(config),
      first_moments_(at::zeros_like(parameters.masters())),
      second_moments_(at::zeros_like(parameters.masters())) {}

void Optimizer::update_by_adamw(nn::FlatRange range, const nn::AdamwStep& step) {
  if (range.size == 0) {
    return;
  }
  const bool has_copy = parameters_.compute_type() == at::kBFloat16;
  const bool is_one_pass =
      nn::uses_fused() && parameters_.device().is_cpu() && (has_copy || parameters_.compute_type() == at::kFloat);
  if (is_one_pass) {
    const AdamwBuffers buffers = {
        .masters = parameters_.masters().data_ptr<float>(),
        .first_moments = first_moments_.data_ptr<float>(),
        .second_moments = second_moments_.data_ptr<float>(),
        .gradients = parameters_.gradients().data_ptr<float>(),
        .bf16_copy =
            has_copy ? reinterpret_cast<uint16_t*>(parameters_.compute_copy().data_ptr<at::BFloat16>()) : nullptr};
    constexpr int64_t kGrain = 32'768;
    at::parallel_for(range.begin, range.begin + range.size, kGrain,
                     [&](int64_t begin, int64_t end) { adamw(step, buffers, begin, end); });
    return;
  }
  const auto part = [&](at::Tensor& flat) { return flat.narrow(0, range.begin, range.size); };
  if (nn::gpu_adamw(
          step, {.masters = part(parameters_.masters()),
                 .gradients = part(parameters_.gradients()),
                 .first_moments = part(first_moments_),
                 .second_moments = part(second_moments_),
                 .copy = parameters_.compute_type() == at::kFloat ? at::Tensor() : part(parameters_.compute_copy())})) {
    return;
  }
  std::vector<at::Tensor> masters = {part(parameters_.masters())};
  std::vector<at::Tensor> gradients = {part(parameters_.gradients()).mul_(step.gradient_factor)};
  std::vector<at::Tensor> first = {part(first_moments_)};
  std::vector<at::Tensor> second = {part(second_moments_)};
  // The op reads the number of this step from a device tensor for the bias correction.
  const std::vector<at::Tensor> steps = {
      at::full({}, static_cast<double>(step.number), parameters_.masters().options())};
  at::_fused_adamw_(masters, gradients, first, second, /*max_exp_avg_sqs=*/{}, steps, step.learning_rate, step.beta1,
                    step.beta2, step.weight_decay, step.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  finish(range);
}

/// Refreshes the copy in the compute type and clears the gradient, which AdamW in one pass has done already.
void Optimizer::finish(nn::FlatRange range) {
  if (parameters_.compute_type() != at::kFloat) {
    parameters_.compute_copy()
        .narrow(0, range.begin, range.size)
        .copy_(parameters_.masters().narrow(0, range.begin, range.size));
  }
  parameters_.gradients().narrow(0, range.begin, range.size).zero_();
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
  const double norm = norm_of(gradients) / divisor;
  if (!std::isfinite(norm)) {
    parameters_.zero_gradients();
    return {.gradient_norm = norm, .is_finite = false};
  }
  const bool is_clipped = config_.clip_norm > 0 && norm > config_.clip_norm;
  nn::AdamwStep step = {.learning_rate = learning_rate,
                        .weight_decay = config_.weight_decay,
                        .beta1 = config_.beta1,
                        .beta2 = config_.beta2,
                        .epsilon = config_.epsilon,
                        .number = ++steps_done_,
                        .gradient_factor = (is_clipped ? config_.clip_norm / norm : 1.0) / divisor};
  const nn::FlatRange matrices = parameters_.range_of(nn::Group::kMatrix);
  if (config_.algorithm == config::Algorithm::kMuon) {
    gradients.narrow(0, matrices.begin, matrices.size).mul_(step.gradient_factor);
    update_by_muon(learning_rate);
    finish(matrices);
  } else {
    update_by_adamw(matrices, step);
  }
  step.weight_decay = config_.table_weight_decay;
  update_by_adamw(parameters_.range_of(nn::Group::kTable), step);
  step.weight_decay = 0.0;
  update_by_adamw(parameters_.range_of(nn::Group::kVector), step);
  parameters_.note_change();
  return {.gradient_norm = norm, .is_finite = true};
}

}  // namespace bertcram::optim
