#pragma once

#include <cstdint>

#include "bf16.h"

namespace bertcram::nn::kernels {

/// Rows [begin, end) of logits [rows, vocab]: leaves softmax - one_hot(target) where the logits stand, sums in fp32.
/// @param targets  [rows], in [0, vocab)  @param losses  [rows]: -log softmax[target]
void cross_entropy(Bf16* logits, int64_t vocab, const int64_t* targets, int64_t begin, int64_t end, float* losses);

}  // namespace bertcram::nn::kernels
