#pragma once
// Layer normalisation of bf16 numbers, with the addition before it, on processors with AVX-512 BF16. Sums are fp32; `hidden` is a
// multiple of 16. Work is split by rows.

#include <cstdint>

#include "bf16.h"

namespace bertcram::nn::kernels {

inline constexpr int64_t kNormStep = 16;

/// What of each row the backward pass needs beside the row itself.
struct NormStatistics {
  float* means;            ///< [rows]
  float* inverse_spreads;  ///< [rows], 1 / sqrt(variance + eps)
};

struct NormWeights {
  const Bf16* weight;  ///< [hidden]
  const Bf16* bias;    ///< [hidden], or null
};

/// y = the normalised rows [begin, end) of x [rows, hidden].
void norm(const Bf16* x, int64_t hidden, int64_t begin, int64_t end, const NormWeights& weights, double eps, Bf16* y,
          const NormStatistics& statistics);
/// Rows [begin, end) of sum = x + branch.
void add(const Bf16* x, const Bf16* branch, int64_t hidden, int64_t begin, int64_t end, Bf16* sum);

/// Where the gradients of the weights are summed: [hidden] each, bias may be null.
struct NormGradients {
  float* weight;
  float* bias;
};

/// @param x           what was normalised
/// @param x_residual  a gradient that x has beside, or null; added
void norm_backward(const Bf16* x, const Bf16* y_gradient, const Bf16* x_residual, int64_t hidden, int64_t begin,
                   int64_t end, const Bf16* weight, const NormStatistics& statistics, Bf16* x_gradient,
                   const NormGradients& gradients);

}  // namespace bertcram::nn::kernels
