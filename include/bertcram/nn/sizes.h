#pragma once
// What of nn's sizes others reckon with: plan, which has no LibTorch.

#include <cstdint>

namespace bertcram::nn {

/// Numbers of the fp32 working buffer of masked_lm_loss_sum where no kernel forms the loss: few enough for a cache on the CPU, many
/// enough for a GPU.
inline constexpr int64_t kLossChunkCpu = int64_t{1} << 20;
inline constexpr int64_t kLossChunkCuda = int64_t{1} << 24;

/// What both widths of a weight are multiples of where our products in bf16 take it (uses_bf16_products in nn/fused.h).
inline constexpr int64_t kBf16WidthStep = 32;

}  // namespace bertcram::nn
