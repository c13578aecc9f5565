#pragma once
// The mathematics of an encoder as free functions on tensors. Dimension words: batch seq hidden heads head_dim ffn masked
// vocab classes. All are differentiable unless said otherwise; deterministic on the CPU for a fixed thread count. Tensors
// of one call share dtype (fp64, fp32, bf16 or fp16) and device; the result has the same. Shapes that do not fit throw
// ShapeError, which names the argument. Pinned by: tests/nn/functional_test.cpp

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// y = x · weightᵀ + bias. With kernels of our own, and in fp32 on a CPU, backward() adds the gradients of weight and bias to the
/// leaves' .grad where that is fp32, which autograd::grad() would then not return; differentiable once.
/// @param x [..., in]  @param weight [out, in]  @param bias [out], or undefined for none
/// @return  [..., out]
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// Rows of a table. The gradient of an fp32 table on a CPU is added to the leaf's .grad without a table of zeros in between.
/// @param table [count, hidden]  @param ids [...] int32 or int64 in [0, count)
/// @return [..., hidden]
at::Tensor embedding(const at::Tensor& table, const at::Tensor& ids);

/// Layer normalisation over the last dimension (Ba et al. 2016), statistics in fp32.
/// @param x [..., hidden]  @param weight [hidden]  @param bias [hidden], or undefined for none
/// @param eps > 0, added to the variance
/// @return  [..., hidden]
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

/// A residual addition and the norm behind it.
struct NormedSum {
  at::Tensor sum;     ///< x + branch
  at::Tensor normed;  ///< layer_norm of it
};
/// @param x, branch  [..., hidden], the same shape  @param weight, bias, eps  as in layer_norm
NormedSum add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, const at::Tensor& bias,
                   double eps);

/// GELU with the exact error function (Hendrycks & Gimpel 2016), as "gelu" in Hugging Face. @return shape of x
at::Tensor gelu(const at::Tensor& x);

/// gelu(first half) · second half (GeGLU; Shazeer 2020). @param x [..., 2 * ffn]  @return [..., ffn]
at::Tensor geglu(const at::Tensor& x);

}  // namespace bertcram::nn
