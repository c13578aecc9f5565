#pragma once
// What of nn's sizes others reckon with: plan, which has no LibTorch.

#include <cstdint>

namespace bertcram::nn {

/// What both widths of a weight are multiples of where our products in bf16 take it (uses_bf16_products in nn/fused.h).
inline constexpr int64_t kBf16WidthStep = 32;

}  // namespace bertcram::nn
