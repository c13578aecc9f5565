#pragma once
// Kernels for fp32 numbers on processors with AVX-512, or with AVX2 and FMA. Each is written once (*_fp32_body.h) and compiled for
// either (fp32_avx2.cpp, fp32_avx512.cpp).

#include <cstdint>

#include "attention_shape.h"
#include "dropout_draws.h"
#include "product_block.h"

namespace bertcram::nn::kernels {

enum class InstructionSet { kNeither, kAvx2, kAvx512 };

/// What fp32_kernels() are made of: what this processor has, but no more than is allowed.
InstructionSet fp32_instructions();
/// For tests of the narrower kernels.
void allow_fp32_instructions(InstructionSet most);

/// Whether linear_forward is taken for faster than MKL's product: on AMD's processors with AVX2 and without AVX-512, of which a Zen 3 was
/// measured.
constexpr bool is_faster_than_mkl(bool is_amd, InstructionSet instructions) {
  return is_amd && instructions == InstructionSet::kAvx2;
}
/// Here.
bool has_fast_fp32_products();

inline bool has_fp32_kernels() { return fp32_instructions() != InstructionSet::kNeither; }

inline constexpr int64_t kFp32Step = 16;  ///< what widths are multiples of

/// Work is split by ranges [begin, end), so that who calls chooses the threads.
struct Fp32Kernels {
  /// As attention_forward and attention_backward of attention_bf16.h. @param shape  head_dim a multiple of kFp32Step
  void (*attention_forward)(const AttentionShape& shape, const float* qkv, const ScoreBias& bias, const Draws& draws,
                            int64_t begin, int64_t end, float* out, float* log_sums);
  void (*attention_backward)(const AttentionShape& shape, const float* qkv, const ScoreBias& bias, const Draws& draws,
                             const float* out, const float* log_sums, const float* out_gradient, int64_t begin,
                             int64_t end, float* qkv_gradient);
  /// As kernels::cross_entropy of cross_entropy_bf16.h.
  void (*cross_entropy)(float* logits, int64_t vocab, const int64_t* targets, int64_t begin, int64_t end,
                        float* losses);
  /// Of y = x · weightᵀ + bias, the block; the same bits however y is cut into blocks. x [tokens, in], weight [out, in], bias [out] or
  /// null, y [tokens, out]. @param in  a multiple of kFp32Step, and so are the block's columns
  void (*linear_forward)(const float* x, const float* weight, const float* bias, int64_t out, int64_t in,
                         const ProductBlock& block, float* y);
};

extern const Fp32Kernels kFp32Avx2;
extern const Fp32Kernels kFp32Avx512;

/// REQUIRES: has_fp32_kernels()
inline const Fp32Kernels& fp32_kernels() {
  return fp32_instructions() == InstructionSet::kAvx512 ? kFp32Avx512 : kFp32Avx2;
}

}  // namespace bertcram::nn::kernels
