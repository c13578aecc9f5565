#pragma once
// The linear map by own kernels: bf16 on a CPU that has the instructions.

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// Whether fused_linear takes it. @param bias  may be undefined
bool can_fuse_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// nn::linear; differentiable. The gradients of weight and bias are summed in fp32; where these are leaves whose .grad is
/// fp32, right there.
at::Tensor fused_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// Its three products without autograd; x [tokens, in], weight [out, in], bias [out] or undefined.
at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);  ///< [tokens, out]
at::Tensor linear_input_gradient(const at::Tensor& y_gradient, const at::Tensor& weight);          ///< [tokens, in]

struct AffineGradients {
  at::Tensor weight;  ///< undefined where it was added to the leaf's .grad
  at::Tensor bias;
};
AffineGradients linear_weight_gradient(const at::Tensor& x, const at::Tensor& y_gradient, const at::Tensor& weight,
                                       const at::Tensor& bias);

}  // namespace bertcram::nn
