#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "fused_cuda.h"
#include "gradient_sum.h"
#include "norm_functions.h"
#include "start_on_gpu.h"

namespace bertcram::nn {
namespace {

namespace cuda = kernels::cuda;
using torch::autograd::AutogradContext;

// Blocks of the backward pass: some per multiprocessor, and sums that stay in the second cache.
constexpr int64_t kMostParts = 256;

const void* pointer_or_null(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

struct GpuNorm {
  static at::Tensor in_one_piece(const at::Tensor& x) { return nn::in_one_piece(x); }

  static at::Tensor normalised(AutogradContext* context, const NormInputs& inputs) {
    const at::Tensor& x = inputs.x;
    const int64_t hidden = x.size(-1);
    const int64_t rows = x.numel() / hidden;
    const auto options = x.options().dtype(at::kFloat).requires_grad(false);
    const at::Tensor means = at::empty({rows}, options);
    const at::Tensor inverse_spreads = at::empty({rows}, options);
    at::Tensor y = at::empty_like(x);
    start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.norm(storage_of(x),
                          {.x = x.const_data_ptr(),
                           .branch = pointer_or_null(inputs.branch),
                           .weight = inputs.weight.const_data_ptr(),
                           .bias = pointer_or_null(inputs.bias),
                           .sum = inputs.sum.defined() ? inputs.sum.mutable_data_ptr() : nullptr,
                           .y = y.mutable_data_ptr(),
                           .means = means.mutable_data_ptr<float>(),
                           .inverse_spreads = inverse_spreads.mutable_data_ptr<float>(),
                           .rows = rows,
                           .hidden = hidden,
                           .eps = static_cast<float>(inputs.eps)},
                          stream);
    });
    context->save_for_backward(
        {inputs.branch.defined() ? inputs.sum : x, inputs.weight, inputs.bias, means, inverse_spreads});
    return y;
  }

  static NormGradients gradients(AutogradContext* context, const at::Tensor& given, const at::Tensor& residual) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor& bias = saved[2];
    const at::Tensor y_gradient = nn::in_one_piece(given);
    const at::Tensor beside = residual.defined() ? nn::in_one_piece(residual) : residual;
    const int64_t hidden = x.size(-1);
    const int64_t rows = x.numel() / hidden;
    const int64_t parts = std::clamp<int64_t>(rows, 1, kMostParts);
    const at::Tensor x_gradient = at::empty_like(x);
    const at::Tensor sums = at::empty({2, parts, hidden}, x.options().dtype(at::kFloat).requires_grad(false));
    const GradientSum weight_sum(weight);
    const std::optional<GradientSum> bias_sum = bias.defined() ? std::optional<GradientSum>(bias) : std::nullopt;
    start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.norm_backward(storage_of(x),
                                   {.x = x.const_data_ptr(),
                                    .y_gradient = y_gradient.const_data_ptr(),
                                    .residual = pointer_or_null(beside),
                                    .weight = weight.const_data_ptr(),
                                    .means = saved[3].const_data_ptr<float>(),
                                    .inverse_spreads = saved[4].const_data_ptr<float>(),
                                    .x_gradient = x_gradient.mutable_data_ptr(),
                                    .weight_parts = sums.mutable_data_ptr<float>(),
                                    .bias_parts = sums.mutable_data_ptr<float>() + parts * hidden,
                                    .weight_sums = weight_sum.numbers.mutable_data_ptr<float>(),
                                    .bias_sums = bias_sum ? bias_sum->numbers.mutable_data_ptr<float>() : nullptr,
                                    .rows = rows,
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
