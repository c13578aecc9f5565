#pragma once
// Operations on each number or pair of numbers, in bf16 with fp32 arithmetic, on processors with AVX-512 BF16: one reading and
// one writing of memory.

#include <cstdint>

#include "bf16.h"

namespace bertcram::nn::kernels {

/// gelu with the normal distribution function to 1e-7, of numbers [begin, end), which are multiples of 16 or the last.
void gelu(const Bf16* x, int64_t begin, int64_t end, Bf16* y);
void gelu_backward(const Bf16* x, const Bf16* y_gradient, int64_t begin, int64_t end, Bf16* x_gradient);

/// y [rows, ffn] = gelu(x[:, :ffn]) · x[:, ffn:], rows [begin, end). @param ffn  a multiple of 16
void geglu(const Bf16* x, int64_t ffn, int64_t begin, int64_t end, Bf16* y);
void geglu_backward(const Bf16* x, const Bf16* y_gradient, int64_t ffn, int64_t begin, int64_t end, Bf16* x_gradient);

/// qkv of tokens.
struct RotaryShape {
  int64_t seq = 0;  ///< token t stands at position t mod seq
  int64_t heads = 0;
  int64_t head_dim = 0;  ///< a multiple of 32
};

/// nn::rotate for tokens [begin, end). @param cosines, sines  [seq, head_dim / 2]
void rotate(const RotaryShape& shape, const Bf16* qkv, const float* cosines, const float* sines, int64_t begin,
            int64_t end, Bf16* out);

}  // namespace bertcram::nn::kernels
