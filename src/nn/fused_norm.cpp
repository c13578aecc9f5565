#include "fused_norm.h"

#include <ATen/Parallel.h>
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

constexpr int64_t kGrain = 16'384;  // numbers that are worth a thread

int64_t row_grain(int64_t hidden) { return kGrain / hidden + 1; }

kernels::NormStatistics statistics_of(const NormState& state) {
  return {.means = state.means.mutable_data_ptr<float>(),
          .inverse_spreads = state.inverse_spreads.mutable_data_ptr<float>()};
}

const uint16_t* bf16_or_null(const at::Tensor& tensor) { return tensor.defined() ? bf16(tensor) : nullptr; }

/// By our kernels in bf16.
struct CpuNorm {
  static at::Tensor in_one_piece(const at::Tensor& x) { return x.contiguous(); }

  static void normalise(const NormInputs& inputs, const NormState& state, const at::Tensor& y) {
    const int64_t hidden = state.hidden();
    at::parallel_for(0, state.rows(), row_grain(hidden), [&](int64_t begin, int64_t end) {
      if (inputs.branch.defined()) {
        kernels::add(bf16(inputs.x), bf16(inputs.branch), hidden, begin, end, mutable_bf16(inputs.sum));
      }
      kernels::norm(bf16(state.x), hidden, begin, end,
                    {.weight = bf16(inputs.weight), .bias = bf16_or_null(inputs.bias)}, inputs.eps, mutable_bf16(y),
                    statistics_of(state));
    });
  }

  static NormGradients gradients(const NormState& state, const at::Tensor& of_y, const at::Tensor& of_sum) {
    const int64_t hidden = state.hidden();
    const int64_t rows = state.rows();
    const bool has_bias = state.bias.defined();
    const at::Tensor x_gradient = at::empty_like(state.x);
    // Each thread sums its rows' share of the weights' gradients on its own.
    const int64_t parts = std::clamp<int64_t>(rows / row_grain(hidden), 1, at::get_num_threads());
    const at::Tensor sums = at::zeros({2, parts, hidden}, state.means.options());
    auto* const weight_sums = sums.mutable_data_ptr<float>();
    at::parallel_for(0, parts, /*grain_size=*/1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part) {
        kernels::norm_backward(bf16(state.x), bf16(of_y), bf16_or_null(of_sum), hidden, rows * part / parts,
                               rows * (part + 1) / parts, bf16(state.weight), statistics_of(state),
                               mutable_bf16(x_gradient),
                               {.weight = weight_sums + part * hidden,
                                .bias = has_bias ? weight_sums + (parts + part) * hidden : nullptr});
      }
    });
    const auto add_to = [&](const at::Tensor& variable, int64_t which) {
      const GradientSum total(variable);
      total.numbers.add_(sums.select(0, which).sum(0));
      return total.returned;
    };
    return {
        .x = x_gradient, .weight = add_to(state.weight, 0), .bias = has_bias ? add_to(state.bias, 1) : at::Tensor()};
  }
};

}  // namespace

bool can_fuse_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto fits = [](const at::Tensor& each) { return each.is_cpu() && each.scalar_type() == at::kBFloat16; };
  const auto is_vector = [&](const at::Tensor& each) { return fits(each) && each.is_contiguous(); };
  return has_bf16_kernels() && fits(x) && is_vector(weight) && (!bias.defined() || is_vector(bias)) &&
         x.size(-1) % kernels::kNormStep == 0;
}

at::Tensor fused_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  return layer_norm_by<CpuNorm>(x, weight, bias, eps);
}

NormedSum fused_add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight,
                         const at::Tensor& bias, double eps) {
  return add_norm_by<CpuNorm>(x, branch, weight, bias, eps);
}

}  // namespace bertcram::nn
