#include "fused_norm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "bertcram/nn/fused.h"
#include "gradient_sum.h"
#include "kernels/norm_bf16.h"
#include "norm_functions.h"
#include "raw.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;

constexpr int64_t kGrain = 16'384;  // numbers that are worth a thread

int64_t row_grain(int64_t hidden) { return kGrain / hidden + 1; }

kernels::NormStatistics statistics_of(const at::Tensor& means, const at::Tensor& inverse_spreads) {
  return {.means = means.mutable_data_ptr<float>(), .inverse_spreads = inverse_spreads.mutable_data_ptr<float>()};
}

const uint16_t* bf16_or_null(const at::Tensor& tensor) { return tensor.defined() ? bf16(tensor) : nullptr; }

/// By our kernels in bf16.
struct CpuNorm {
  static at::Tensor in_one_piece(const at::Tensor& x) { return x.contiguous(); }

  static at::Tensor normalised(AutogradContext* context, const NormInputs& inputs) {
    const int64_t hidden = inputs.x.size(-1);
    const int64_t rows = inputs.x.numel() / hidden;
    const auto options = inputs.x.options().dtype(at::kFloat);
    const at::Tensor means = at::empty({rows}, options);
    const at::Tensor inverse_spreads = at::empty({rows}, options);
    const at::Tensor& x = inputs.branch.defined() ? inputs.sum : inputs.x;
    at::Tensor y = at::empty_like(x);
    at::parallel_for(0, rows, row_grain(hidden), [&](int64_t begin, int64_t end) {
      if (inputs.branch.defined()) {
        kernels::add(bf16(inputs.x), bf16(inputs.branch), hidden, begin, end, mutable_bf16(x));
      }
      kernels::norm(bf16(x), hidden, begin, end, {.weight = bf16(inputs.weight), .bias = bf16_or_null(inputs.bias)},
                    inputs.eps, mutable_bf16(y), statistics_of(means, inverse_spreads));
    });
    context->save_for_backward({x, inputs.weight, inputs.bias, means, inverse_spreads});
    return y;
  }

  static NormGradients gradients(AutogradContext* context, const at::Tensor& given, const at::Tensor& residual) {
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
        kernels::norm_backward(bf16(x), bf16(y_gradient), bf16_or_null(beside), hidden, rows * part / parts,
                               rows * (part + 1) / parts, bf16(weight), statistics_of(saved[3], saved[4]),
                               mutable_bf16(x_gradient),
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
};

}  // namespace

bool can_fuse_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto fits = [](const at::Tensor& each) { return each.is_cpu() && each.scalar_type() == at::kBFloat16; };
  const auto is_vector = [&](const at::Tensor& each) { return fits(each) && each.is_contiguous(); };
  return uses_fused() && fits(x) && is_vector(weight) && (!bias.defined() || is_vector(bias)) &&
         x.size(-1) % kernels::kNormStep == 0 && kernels::has_avx512_bf16();
}

at::Tensor fused_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  return layer_norm_by<CpuNorm>(x, weight, bias, eps);
}

NormedSum fused_add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight,
                         const at::Tensor& bias, double eps) {
  return add_norm_by<CpuNorm>(x, branch, weight, bias, eps);
}

}  // namespace bertcram::nn
