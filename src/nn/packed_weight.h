#pragma once
// Weights as the kernels of linear maps read them, packed once for as long as they do not change: for all passes of a step, or
// all batches of an evaluation.

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

enum class Packing { kForProduct, kForInputGradient };

/// The packed numbers of a weight (kernels/linear_bf16.h), kept until the weight's version counter moves or its memory is gone.
/// Who writes to a weight past LibTorch's operations has to move the counter. Safe for several threads at once.
/// @param weight [out, in] bf16, contiguous, on the CPU  @return out · in numbers
at::Tensor packed_weight(const at::Tensor& weight, Packing packing);

}  // namespace bertcram::nn
