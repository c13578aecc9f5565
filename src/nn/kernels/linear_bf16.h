#pragma once
// Linear maps of bf16 numbers on processors with AVX-512 BF16. Work is split by ranges, so that who calls chooses the threads.
// Widths are multiples of kWidthStep; the number of tokens is any.

#include <cstdint>

#include "bertcram/nn/sizes.h"
#include "bf16.h"

namespace bertcram::nn::kernels {

inline constexpr int64_t kWidthStep = kBf16WidthStep;
inline constexpr int64_t kPackColumns = 64;       ///< what packing is split by
inline constexpr int64_t kGradientTokens = 1024;  ///< whose inputs are packed as one block for the gradient of a weight

/// Columns [begin, end) of weightᵀ. @param weight [out, in]  @param packed  in · out numbers
void pack_weight(const Bf16* weight, int64_t out, int64_t in, int64_t begin, int64_t end, Bf16* packed);

/// Columns [begin, end) of the weight itself. @param packed  likewise
void pack_weight_for_gradient(const Bf16* weight, int64_t out, int64_t in, int64_t begin, int64_t end, Bf16* packed);

/// y = x · weightᵀ + bias for tokens [begin, end). @param bias [out], or null
void linear_forward(const Bf16* x, const Bf16* packed, const Bf16* bias, int64_t out, int64_t in, int64_t begin,
                    int64_t end, Bf16* y);

/// The gradient of x, y_gradient · weight, for tokens [begin, end). @param packed  by pack_weight_for_gradient
void linear_input_gradient(const Bf16* y_gradient, const Bf16* packed, int64_t out, int64_t in, int64_t begin,
                           int64_t end, Bf16* x_gradient);

/// Numbers of the packed inputs of so many tokens.
int64_t packed_input_numbers(int64_t tokens, int64_t in);
/// Columns [begin, end) of x [tokens, in].
void pack_input(const Bf16* x, int64_t tokens, int64_t in, int64_t begin, int64_t end, Bf16* packed);

/// Adds y_gradientᵀ · x to rows [begin, end) of the gradients of weight [out, in] and, unless it is null, bias [out].
/// @param begin, end  multiples of 32
void linear_weight_gradient(const Bf16* y_gradient, const Bf16* packed_input, int64_t tokens, int64_t out, int64_t in,
                            int64_t begin, int64_t end, float* weight_gradient, float* bias_gradient);

}  // namespace bertcram::nn::kernels
