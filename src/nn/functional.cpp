#include "bertcram/nn/functional.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bertcram/util/error.h"
#include "fused_cuda.h"
#include "fused_linear.h"
#include "fused_norm.h"
#include "fused_pointwise.h"
#include "optional_tensor.h"
#include "summing_linear.h"

namespace bertcram::nn {
namespace {

void require(bool holds, const char* function, const char* argument, const at::Tensor& got, const char* expected) {
  if (!holds) {
    throw ShapeError(cat(function, ": ", argument, " has shape ", got.sizes(), ", expected ", expected));
  }
}

/// gelu(gate) * value. Backward writes into the halves of one tensor, where autograd would fill two with zeros and add them.
struct GatedGelu : torch::autograd::Function<GatedGelu> {
  /// @param x  [..., 2 * ffn]: gate, value
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    return at::gelu(half(x, 0)).mul_(half(x, 1));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor& gradient = gradients[0];  // [..., ffn]
    const at::Tensor x_gradient = at::empty_like(x);
    at::Tensor gate_gradient = half(x_gradient, 0);
    at::Tensor value_gradient = half(x_gradient, 1);
    at::gelu_backward_out(gate_gradient, gradient * half(x, 1), half(x, 0));
    at::mul_out(value_gradient, gradient, at::gelu(half(x, 0)));
    return {x_gradient};
  }

  static at::Tensor half(const at::Tensor& x, int64_t which) {
    const int64_t ffn = x.size(-1) / 2;
    return x.narrow(-1, which * ffn, ffn);
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  require(weight.dim() == 2 && x.dim() >= 2 && x.size(-1) == weight.size(1), "linear", "weight", weight,
          "[out, in] with in = the last dimension of x");
  require(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)), "linear", "bias", bias, "[out]");
  if (can_fuse_linear(x, weight, bias)) {
    return fused_linear(x, weight, bias);
  }
  if (can_sum_gradients(x, weight)) {
    return summing_linear(x, weight, bias);
  }
  return at::linear(x, weight, optional(bias));  // [..., out]
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  require(x.dim() >= 1 && weight.dim() == 1 && weight.size(0) == x.size(-1), "layer_norm", "weight", weight,
          "[hidden]");
  require(!bias.defined() || bias.sizes() == weight.sizes(), "layer_norm", "bias", bias, "[hidden]");
  if (can_fuse_norm(x, weight, bias)) {
    return fused_layer_norm(x, weight, bias, eps);
  }
  if (can_norm_on_gpu(x, weight, bias)) {
    return gpu_layer_norm(x, weight, bias, eps);
  }
  return at::layer_norm(x, weight.sizes(), weight, optional(bias), eps);
}

NormedSum add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, const at::Tensor& bias,
                   double eps) {
  require(x.sizes() == branch.sizes(), "add_norm", "branch", branch, "the shape of x");
  if (can_fuse_norm(x, weight, bias) && branch.scalar_type() == x.scalar_type()) {
    return fused_add_norm(x, branch, weight, bias, eps);
  }
  if (can_norm_on_gpu(x, weight, bias) && branch.scalar_type() == x.scalar_type()) {
    return gpu_add_norm(x, branch, weight, bias, eps);
  }
  const at::Tensor sum = x + branch;
  return {.sum = sum, .normed = layer_norm(sum, weight, bias, eps)};
}

at::Tensor gelu(const at::Tensor& x) {
  if (can_fuse_on_gpu(x)) {
    return gpu_gelu(x);
  }
  return can_fuse_pointwise(x) ? fused_gelu(x) : at::gelu(x, "none");
}

at::Tensor geglu(const at::Tensor& x) {
  require(x.dim() >= 1 && x.size(-1) % 2 == 0, "geglu", "x", x, "[..., 2 * ffn]");
  const int64_t ffn = x.size(-1) / 2;
  constexpr int64_t kFfnStep = 16;
  if (can_fuse_pointwise(x) && ffn % kFfnStep == 0) {
    return fused_geglu(x);
  }
  if (can_fuse_on_gpu(x) && ffn % kGpuStep == 0) {
    return gpu_geglu(x);
  }
  return GatedGelu::apply(x);
}

}  // namespace bertcram::nn
