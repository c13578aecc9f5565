#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "fused_cuda.h"
#include "gradient_sum.h"
#include "optional_tensor.h"
#include "start_on_gpu.h"

namespace bertcram::nn {
namespace {

namespace cuda = kernels::cuda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Blocks of the backward pass: some per multiprocessor, and sums that stay in the second cache.
constexpr int64_t kMostParts = 256;

const void* pointer_or_null(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

/// y; `sum` is what is normalised where there is a branch.
at::Tensor normalised(AutogradContext* context, const at::Tensor& x, const at::Tensor& branch, const at::Tensor& sum,
                      const at::Tensor& weight, const at::Tensor& bias, double eps) {
  const int64_t hidden = x.size(-1);
  const int64_t rows = x.numel() / hidden;
  const auto options = x.options().dtype(at::kFloat).requires_grad(false);
  const at::Tensor means = at::empty({rows}, options);
  const at::Tensor inverse_spreads = at::empty({rows}, options);
  at::Tensor y = at::empty_like(x);
  start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
    return kernels.norm(storage_of(x),
                        {.x = x.const_data_ptr(),
                         .branch = pointer_or_null(branch),
                         .weight = weight.const_data_ptr(),
                         .bias = pointer_or_null(bias),
                         .sum = sum.defined() ? sum.mutable_data_ptr() : nullptr,
                         .y = y.mutable_data_ptr(),
                         .means = means.mutable_data_ptr<float>(),
                         .inverse_spreads = inverse_spreads.mutable_data_ptr<float>(),
                         .rows = rows,
                         .hidden = hidden,
                         .eps = static_cast<float>(eps)},
                        stream);
  });
  context->save_for_backward({sum.defined() ? sum : x, weight, bias, means, inverse_spreads});
  return y;
}

struct NormGradients {
  at::Tensor x;
  at::Tensor weight;  ///< undefined where it was added to the leaf's .grad
  at::Tensor bias;
};

/// @param residual  a gradient that x has beside, or undefined
NormGradients norm_gradients(AutogradContext* context, const at::Tensor& given, const at::Tensor& residual) {
  const auto saved = context->get_saved_variables();
  const at::Tensor& x = saved[0];
  const at::Tensor& weight = saved[1];
  const at::Tensor& bias = saved[2];
  const at::Tensor y_gradient = in_one_piece(given);
  const at::Tensor beside = residual.defined() ? in_one_piece(residual) : residual;
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

struct GpuLayerNorm : torch::autograd::Function<GpuLayerNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, double eps) {
    return normalised(context, in_one_piece(x), {}, {}, weight, bias.value_or(at::Tensor()), eps);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const NormGradients found = norm_gradients(context, gradients[0], {});
    return {found.x, found.weight, found.bias, at::Tensor()};
  }
};

struct GpuAddNorm : torch::autograd::Function<GpuAddNorm> {
  /// @return sum and normed
  static variable_list forward(AutogradContext* context, const at::Tensor& given_x, const at::Tensor& given_branch,
                               const at::Tensor& weight, const std::optional<at::Tensor>& bias, double eps) {
    const at::Tensor x = in_one_piece(given_x);
    const at::Tensor sum = at::empty_like(x);
    context->set_materialize_grads(false);
    return {sum, normalised(context, x, in_one_piece(given_branch), sum, weight, bias.value_or(at::Tensor()), eps)};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (!gradients[1].defined()) {
      return {gradients[0], gradients[0], at::Tensor(), at::Tensor(), at::Tensor()};
    }
    const NormGradients found = norm_gradients(context, gradients[1], gradients[0]);
    return {found.x, found.x, found.weight, found.bias, at::Tensor()};
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
  return GpuLayerNorm::apply(x, weight, optional(bias), eps);
}

NormedSum gpu_add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, const at::Tensor& bias,
                       double eps) {
  const variable_list both = GpuAddNorm::apply(x, branch, weight, optional(bias), eps);
  return {.sum = both[0], .normed = both[1]};
}

}  // namespace bertcram::nn
