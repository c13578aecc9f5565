#pragma once
// Bidirectional attention over rows, padded rows and sequences of any length.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "bertcram/nn/dropout.h"

namespace bertcram::nn {

/// Who may look at whom.
struct AttentionMask {
  /// Added to the scores: [batch or 1, 1, seq or 1, seq] in the compute type, 0 or -inf; no gradient flows to it. Undefined when every token sees
  /// its whole sequence, which keeps the fastest path. With cu_seqlens: [1, 1, longest, longest], for a sequence of n
  /// tokens its first n rows and columns.
  at::Tensor bias;
  /// Empty: every row is a sequence. Otherwise batch is 1 and sequence i is the columns [cu_seqlens[i], cu_seqlens[i+1])
  /// of that row; neighbours of equal length are computed together.
  std::span<const int64_t> cu_seqlens;
};

struct AttentionOptions {
  int64_t heads = 1;
  Dropout dropout = {};  ///< of the attention probabilities
};

/// Scaled dot-product attention (Vaswani et al. 2017), scale head_dim^-1/2.
/// @param qkv  [batch, seq, 3 * hidden]: query, key and value blocks, heads inside each; fp64, fp32, bf16 or fp16
/// @return     [batch, seq, hidden], dtype of qkv; differentiable in qkv. Zeros for a query that may look at no key.
/// @throws ShapeError
/// Pinned by: tests/nn/attention_test.cpp
at::Tensor attention(const at::Tensor& qkv, const AttentionMask& mask, const AttentionOptions& options);

/// 0 where |row - column| <= reach, -inf elsewhere. @return [1, 1, seq, seq]
at::Tensor window_bias(int64_t seq, int64_t reach, const at::TensorOptions& options);

/// Both of a window and of padded keys; a padded token sees at least itself, so that no row is without a key.
/// @param window [1, 1, seq, seq]  @param key_bias [batch, 1, 1, seq]  @return [batch, 1, seq, seq]
at::Tensor window_of_padded(const at::Tensor& window, const at::Tensor& key_bias);

}  // namespace bertcram::nn
