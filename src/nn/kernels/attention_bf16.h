#pragma once
// Scaled dot-product attention of bf16 numbers on processors with AVX-512 BF16: no part of the scores leaves the cache.

#include <cstdint>

#include "attention_shape.h"
#include "bf16.h"
#include "dropout_draws.h"

namespace bertcram::nn::kernels {

/// For sequence and head `unit` of [begin, end), numbered batch · heads + head.
/// @param shape     head_dim a multiple of 32
/// @param draws     of the dropout of the probabilities, [batch, heads, seq, seq]
/// @param qkv       [batch, seq, 3, heads, head_dim]
/// @param out       [batch, seq, heads, head_dim]
/// @param log_sums  [batch, heads, seq]: logarithm of the sum of the exponentials of a query's scores, for the backward pass
void attention_forward(const AttentionShape& shape, const Bf16* qkv, const ScoreBias& bias, const Draws& draws,
                       int64_t begin, int64_t end, Bf16* out, float* log_sums);

/// @param out_gradient  as out  @param qkv_gradient  as qkv, all of it is written
void attention_backward(const AttentionShape& shape, const Bf16* qkv, const ScoreBias& bias, const Draws& draws,
                        const Bf16* out, const float* log_sums, const Bf16* out_gradient, int64_t begin, int64_t end,
                        Bf16* qkv_gradient);

}  // namespace bertcram::nn::kernels
