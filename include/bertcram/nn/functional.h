#pragma once
// The mathematics of an encoder as free functions on tensors. Dimension words: batch seq hidden heads head_dim masked
// vocab classes. All are differentiable unless said otherwise; deterministic on the CPU for a fixed thread count. Tensors
// of one call share dtype (fp64, fp32 or bf16) and device; the result has the same. Shapes that do not fit throw
// ShapeError, which names the argument. Pinned by: tests/nn/functional_test.cpp

#include <cstdint>
#include <optional>

namespace at {
class Tensor;
}

namespace bertcram::nn {

/// y = x · weightᵀ + bias.
/// @param x [..., in]  @param weight [out, in]  @param bias [out]
/// @return  [..., out]
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// Layer normalisation over the last dimension (Ba et al. 2016), statistics in fp32.
/// @param x [..., hidden]  @param weight [hidden]  @param bias [hidden]  @param eps > 0, added to the variance
/// @return  [..., hidden]
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

/// GELU with the exact error function (Hendrycks & Gimpel 2016), as "gelu" in Hugging Face. @return shape of x
at::Tensor gelu(const at::Tensor& x);

struct AttentionOptions {
  int64_t heads = 1;
  double dropout = 0.0;  ///< of the attention probabilities; 0 outside training
};

/// Bidirectional scaled dot-product attention (Vaswani et al. 2017), scale head_dim^-1/2.
/// @param qkv  [batch, seq, 3 * hidden]: query, key and value blocks, heads inside each
/// @param key_bias  [batch, 1, 1, seq] in qkv's dtype: 0 for a token, -inf for padding; undefined when rows are full,
///                  which keeps the fastest path
/// @return  [batch, seq, hidden]
at::Tensor attention(const at::Tensor& qkv, const at::Tensor& key_bias, const AttentionOptions& options);

/// Zeroes entries with probability `probability`, in [0, 1), and scales the rest by 1 / (1 - probability); the identity
/// when it is 0. @return shape of x
/// Draws from LibTorch's generator of the device: seed it before (at::manual_seed) for reproducible runs.
at::Tensor dropout(const at::Tensor& x, double probability);

}  // namespace bertcram::nn
