#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <optional>

#include "fused_cuda.h"
#include "gradient_sum.h"
#include "norm_functions.h"
#include "start_on_gpu.h"

namespace bertcram::nn {
namespace {

namespace cuda = kernels::cuda;

// Blocks of the backward pass: some per multiprocessor, and sums that stay in the second cache.
constexpr int64_t kMostParts = 256;

const void* pointer_or_null(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

struct GpuNorm {
  static at::Tensor in_one_piece(const at::Tensor& x) { return nn::in_one_piece(x); }

  static void normalise(const NormInputs& inputs, const NormState& state, const at::Tensor& y) {
    start_beside(y, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.norm(storage_of(y),
                          {.x = inputs.x.const_data_ptr(),
                           .branch = pointer_or_null(inputs.branch),
                           .weight = inputs.weight.const_data_ptr(),
                           .bias = pointer_or_null(inputs.bias),
                           .sum = inputs.sum.defined() ? inputs.sum.mutable_data_ptr() : nullptr,
                           .y = y.mutable_data_ptr(),
                           .means = state.means.mutable_data_ptr<float>(),
                           .inverse_spreads = state.inverse_spreads.mutable_data_ptr<float>(),
                           .rows = state.rows(),
                           .hidden = state.hidden(),
                           .eps = static_cast<float>(inputs.eps)},
                          stream);
    });
  }

  static NormGradients gradients(const NormState& state, const at::Tensor& of_y, const at::Tensor& of_sum) {
    const int64_t hidden = state.hidden();
    const int64_t parts = std::clamp<int64_t>(state.rows(), 1, kMostParts);
    const at::Tensor x_gradient = at::empty_like(state.x);
    const at::Tensor sums = at::empty({2, parts, hidden}, state.means.options());
    const GradientSum weight_sum(state.weight);
    const auto bias_sum = state.bias.defined() ? std::optional<GradientSum>(state.bias) : std::nullopt;
    start_beside(state.x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.norm_backward(storage_of(state.x),
                                   {.x = state.x.const_data_ptr(),
                                    .y_gradient = of_y.const_data_ptr(),
                                    .residual = pointer_or_null(of_sum),
                                    .weight = state.weight.const_data_ptr(),
                                    .means = state.means.const_data_ptr<float>(),
                                    .inverse_spreads = state.inverse_spreads.const_data_ptr<float>(),
                                    .x_gradient = x_gradient.mutable_data_ptr(),
                                    .weight_parts = sums.mutable_data_ptr<float>(),
                                    .bias_parts = sums.mutable_data_ptr<float>() + parts * hidden,
                                    .weight_sums = weight_sum.numbers.mutable_data_ptr<float>(),
                                    .bias_sums = bias_sum ? bias_sum->numbers.mutable_data_ptr<float>() : nullptr,
                                    .rows = state.rows(),
                                    .hidden = hidden,
                                    .parts = parts},
                                   stream);
    });
    return {.x = x_gradient, .weight = weight_sum.returned, .bias = bias_sum ? bias_sum->returned : at::Tensor()};
  }
};

}  // namespace

bool can_norm_on_gpu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto fits = [&](const at::Tensor& each) {
    return each.device() == x.device() && each.scalar_type() == x.scalar_type() && each.is_contiguous();
  };
  return can_fuse_on_gpu(x) && cuda::row_fits(x.size(-1)) && fits(weight) && (!bias.defined() || fits(bias));
}

at::Tensor gpu_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  return layer_norm_by<GpuNorm>(x, weight, bias, eps);
}

NormedSum gpu_add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, const at::Tensor& bias,
                       double eps) {
  return add_norm_by<GpuNorm>(x, branch, weight, bias, eps);
}

}  // namespace bertcram::nn
