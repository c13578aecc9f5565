#include "linear_bf16.h"

#include "avx512_bf16.h"
#include "buffer.h"

namespace bertcram::nn::kernels {
namespace {

/// Of a product over many numbers, what is summed before the left matrix's rows leave the first cache.
constexpr int64_t kInnerBlock = 4096;

BC_AVX512_BF16 float sum_of(const Bf16* numbers, int64_t count) {
  const __m512i ones = _mm512_set1_epi16(0x3f80);  // 1.0 in bf16
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += 2 * kLanes) {
    const __m512i some = _mm512_loadu_si512(numbers + i);
    sum = _mm512_dpbf16_ps(sum, reinterpret_cast<const __m512bh&>(some), reinterpret_cast<const __m512bh&>(ones));
  }
  return _mm512_reduce_add_ps(sum);
}

}  // namespace

BC_AVX512_BF16 void pack_weight(const Bf16* weight, int64_t out, int64_t in, int64_t begin, int64_t end, Bf16* packed) {
  pack_transposed(weight, in, out, in, out, {begin, end}, packed);
}

// A panel of a long matrix is used in blocks of kInnerBlock of its rows, which stand one behind the other in it.
BC_AVX512_BF16 void pack_weight_for_gradient(const Bf16* weight, int64_t out, int64_t in, int64_t begin, int64_t end,
                                             Bf16* packed) {
  pack_rows(weight, in, out, out, in, {begin, end}, packed);
}

BC_AVX512_BF16 void linear_forward(const Bf16* x, const Bf16* packed, const Bf16* bias, int64_t out, int64_t in,
                                   int64_t begin, int64_t end, Bf16* y) {
  product(x + begin * in, in, end - begin, packed, in, out, Bf16Store{y + begin * out, out, bias});
}

BC_AVX512_BF16 void linear_input_gradient(const Bf16* y_gradient, const Bf16* packed, int64_t out, int64_t in,
                                          int64_t begin, int64_t end, Bf16* x_gradient) {
  const int64_t tokens = end - begin;
  const Bf16* const left = y_gradient + begin * out;
  Bf16* const to = x_gradient + begin * in;
  if (out <= kInnerBlock) {
    product(left, out, tokens, packed, out, in, Bf16Store{to, in});
    return;
  }
  const Buffer<float> sums(tokens * in);
  for (int64_t first = 0; first < out; first += kInnerBlock) {
    const int64_t inner = std::min(kInnerBlock, out - first);
    for (int64_t column = 0; column < in; column += kPanelColumns) {
      const int64_t width = std::min(kPanelColumns, in - column);
      product(left + first, out, tokens, packed + column * out + first * width, inner, width,
              FloatStore{sums.get() + column, in, first == 0 ? Sums::kStart : Sums::kContinue});
    }
  }
  for (int64_t i = 0; i < tokens * in; i += kLanes) {
    store_bf16(to + i, _mm512_loadu_ps(sums.get() + i));
  }
}

int64_t packed_input_numbers(int64_t tokens, int64_t in) { return round_up(tokens, 2 * kLanes) * in; }

BC_AVX512_BF16 void pack_input(const Bf16* x, int64_t tokens, int64_t in, int64_t begin, int64_t end, Bf16* packed) {
  for (int64_t first = 0; first < tokens; first += kGradientTokens) {
    const int64_t count = std::min(kGradientTokens, tokens - first);
    pack_rows(x + first * in, in, count, round_up(count, 2 * kLanes), in, {begin, end}, packed + first * in);
  }
}

BC_AVX512_BF16 void linear_weight_gradient(const Bf16* y_gradient, const Bf16* packed_input, int64_t tokens,
                                           int64_t out, int64_t in, int64_t begin, int64_t end, float* weight_gradient,
                                           float* bias_gradient) {
  constexpr int64_t kOutputs = 96;
  const Buffer<Bf16> left(kOutputs * kGradientTokens);
  for (int64_t output = begin; output < end; output += kOutputs) {
    const int64_t outputs = std::min(kOutputs, end - output);
    for (int64_t first = 0; first < tokens; first += kGradientTokens) {
      const int64_t count = std::min(kGradientTokens, tokens - first);
      const int64_t inner = round_up(count, 2 * kLanes);
      transpose(y_gradient + first * out + output, out, count, outputs, left.get(), inner);
      product(left.get(), inner, outputs, packed_input + first * in, inner, in,
              FloatStore{weight_gradient + output * in, in, Sums::kContinue});
      for (int64_t i = 0; bias_gradient != nullptr && i < outputs; ++i) {
        bias_gradient[output + i] += sum_of(left.get() + i * inner, inner);
      }
    }
  }
}

}  // namespace bertcram::nn::kernels
