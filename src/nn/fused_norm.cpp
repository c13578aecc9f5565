#include "fused_norm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "bertcram/nn/fused.h"
#include "gradient_sum.h"
#include "kernels/norm_bf16.h"
#include "optional_tensor.h"
#include "raw.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16'384;  // numbers that are worth a thread

int64_t row_grain(int64_t hidden) { return kGrain / hidden + 1; }

kernels::NormStatistics statistics_of(const at::Tensor& means, const at::Tensor& inverse_spreads) {
  return {.means = means.mutable_data_ptr<float>(), .inverse_spreads = inverse_spreads.mutable_data_ptr<float>()};
}

/// y and what is saved of it.
at::Tensor normalised(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps) {
  const int64_t hidden = x.size(-1);
  const int64_t rows = x.numel() / hidden;
  const auto options = x.options().dtype(at::kFloat);
  const at::Tensor means = at::empty({rows}, options);
  const at::Tensor inverse_spreads = at::empty({rows}, options);
  at::Tensor y = at::empty_like(x);
  at::parallel_for(0, rows, row_grain(hidden), [&](int64_t begin, int64_t end) {
    kernels::norm(bf16(x), hidden, begin, end, {.weight = bf16(weight), .bias = bias.defined() ? bf16(bias) : nullptr},
                  eps, mutable_bf16(y), statistics_of(means, inverse_spreads));
  });
  context->save_for_backward({x, weight, bias, means, inverse_spreads});
  return y;
}

struct NormInputGradients {
  at::Tensor x;
  at::Tensor weight;  ///< undefined where it was added to the leaf's .grad
  at::Tensor bias;
};

/// @param residual  a gradient that x has beside, or undefined
NormInputGradients norm_gradients(AutogradContext* context, const at::Tensor& given, const at::Tensor& residual) {
  const auto saved = context->get_saved_variables();
  const at::Tensor& x = saved[0];
  const at::Tensor& weight = saved[1];
  const at::Tensor& bias = saved[2];
  const at::Tensor y_gradient = given.contiguous();
  const at::Tensor beside = residual.defined() ? residual.contiguous() : residual;
  const int64_t hidden = x.size(-1);
  const int64_t rows = x.numel() / hidden;
  const at::Tensor x_gradient = at::empty_like(x);
  // Each thread sums its rows' share of the weights' gradients on its own.
  const int64_t parts = std::clamp<int64_t>(rows / row_grain(hidden), 1, at::get_num_threads());
  const at::Tensor sums = at::zeros({2, parts, hidden}, x.options().dtype(at::kFloat).requires_grad(false));
  auto* const weight_sums = sums.mutable_data_ptr<float>();
  at::parallel_for(0, parts, /*grain_size=*/1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      kernels::norm_backward(bf16(x), bf16(y_gradient), beside.defined() ? bf16(beside) : nullptr, hidden,
                             rows * part / parts, rows * (part + 1) / parts, bf16(weight),
                             statistics_of(saved[3], saved[4]), mutable_bf16(x_gradient),
                             {.weight = weight_sums + part * hidden,
                              .bias = bias.defined() ? weight_sums + (parts + part) * hidden : nullptr});
    }
  });
  const auto add_to = [&](const at::Tensor& variable, int64_t which) {
    const GradientSum total(variable);
    total.numbers.add_(sums.select(0, which).sum(0));
    return total.returned;
  };
  return {.x = x_gradient, .weight = add_to(weight, 0), .bias = bias.defined() ? add_to(bias, 1) : at::Tensor()};
}

struct FusedLayerNorm : torch::autograd::Function<FusedLayerNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, double eps) {
    return normalised(context, x.contiguous(), weight, bias.value_or(at::Tensor()), eps);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const NormInputGradients found = norm_gradients(context, gradients[0], {});
    return {found.x, found.weight, found.bias, at::Tensor()};
  }
};

struct FusedAddNorm : torch::autograd::Function<FusedAddNorm> {
  /// @return sum and normed
  static variable_list forward(AutogradContext* context, const at::Tensor& given_x, const at::Tensor& given_branch,
                               const at::Tensor& weight, const std::optional<at::Tensor>& bias, double eps) {
    const at::Tensor x = given_x.contiguous();
    const at::Tensor branch = given_branch.contiguous();
    const at::Tensor sum = at::empty_like(x);
    const int64_t hidden = x.size(-1);
    at::parallel_for(0, x.numel() / hidden, row_grain(hidden), [&](int64_t begin, int64_t end) {
      kernels::add(bf16(x), bf16(branch), hidden, begin, end, mutable_bf16(sum));
    });
    context->set_materialize_grads(false);
    return {sum, normalised(context, sum, weight, bias.value_or(at::Tensor()), eps)};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (!gradients[1].defined()) {
      return {gradients[0], gradients[0], at::Tensor(), at::Tensor(), at::Tensor()};
    }
    const NormInputGradients found = norm_gradients(context, gradients[1], gradients[0]);
    return {found.x, found.x, found.weight, found.bias, at::Tensor()};
  }
};

}  // namespace

bool can_fuse_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto fits = [](const at::Tensor& each) { return each.is_cpu() && each.scalar_type() == at::kBFloat16; };
  const auto is_vector = [&](const at::Tensor& each) { return fits(each) && each.is_contiguous(); };
  return uses_fused() && fits(x) && is_vector(weight) && (!bias.defined() || is_vector(bias)) &&
         x.size(-1) % kernels::kNormStep == 0 && kernels::has_avx512_bf16();
}

at::Tensor fused_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  return FusedLayerNorm::apply(x, weight, optional(bias), eps);
}

NormedSum fused_add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight,
                         const at::Tensor& bias, double eps) {
  const variable_list both = FusedAddNorm::apply(x, branch, weight, optional(bias), eps);
  return {.sum = both[0], .normed = both[1]};
}

}  // namespace bertcram::nn
