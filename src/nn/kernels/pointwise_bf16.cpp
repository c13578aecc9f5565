#include "pointwise_bf16.h"

#include "avx512_bf16.h"

namespace bertcram::nn::kernels {
namespace {

/// What gelu(x) = x · below and its derivative below + x · density are made of.
struct Normal {
  __m512 below;    ///< P(N(0, 1) < x), to 1e-7 (Abramowitz & Stegun 1964, 7.1.26)
  __m512 density;  ///< of N(0, 1) at x
};

BC_AVX512_BF16 Normal normal_at(__m512 x) {
  const __m512 bell = exp_ps(_mm512_mul_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-0.5F)));
  const __m512 size = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678F));
  const __m512 t =
      _mm512_div_ps(_mm512_set1_ps(1.0F), _mm512_fmadd_ps(size, _mm512_set1_ps(0.3275911F), _mm512_set1_ps(1.0F)));
  __m512 sum = _mm512_set1_ps(1.061405429F);
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(-1.453152027F));
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(1.421413741F));
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(-0.284496736F));
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(0.254829592F));
  const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(_mm512_mul_ps(sum, t), bell), _mm512_set1_ps(0.5F));
  const __mmask16 is_negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  return {.below = _mm512_mask_mov_ps(_mm512_sub_ps(_mm512_set1_ps(1.0F), tail), is_negative, tail),
          .density = _mm512_mul_ps(bell, _mm512_set1_ps(0.39894228F))};
}

BC_AVX512_BF16 __m512 slope_at(__m512 x, const Normal& normal) {
  return _mm512_fmadd_ps(x, normal.density, normal.below);
}

}  // namespace

BC_AVX512_BF16 void gelu(const Bf16* x, int64_t begin, int64_t end, Bf16* y) {
  for (int64_t i = begin; i < end; i += kLanes) {
    const __mmask16 mask = first_lanes(end - i);
    const __m512 value = load_some(x + i, mask, 0.0F);
    store_some(y + i, mask, _mm512_mul_ps(value, normal_at(value).below));
  }
}

BC_AVX512_BF16 void gelu_backward(const Bf16* x, const Bf16* y_gradient, int64_t begin, int64_t end, Bf16* x_gradient) {
  for (int64_t i = begin; i < end; i += kLanes) {
    const __mmask16 mask = first_lanes(end - i);
    const __m512 value = load_some(x + i, mask, 0.0F);
    store_some(x_gradient + i, mask,
               _mm512_mul_ps(load_some(y_gradient + i, mask, 0.0F), slope_at(value, normal_at(value))));
  }
}

BC_AVX512_BF16 void geglu(const Bf16* x, int64_t ffn, int64_t begin, int64_t end, Bf16* y) {
  for (int64_t row = begin; row < end; ++row) {
    const Bf16* const from = x + row * 2 * ffn;
    for (int64_t i = 0; i < ffn; i += kLanes) {
      const __m512 value = load_bf16(from + i);
      store_bf16(y + row * ffn + i,
                 _mm512_mul_ps(_mm512_mul_ps(value, normal_at(value).below), load_bf16(from + ffn + i)));
    }
  }
}

BC_AVX512_BF16 void geglu_backward(const Bf16* x, const Bf16* y_gradient, int64_t ffn, int64_t begin, int64_t end,
                                   Bf16* x_gradient) {
  for (int64_t row = begin; row < end; ++row) {
    const Bf16* const from = x + row * 2 * ffn;
    Bf16* const to = x_gradient + row * 2 * ffn;
    for (int64_t i = 0; i < ffn; i += kLanes) {
      const __m512 value = load_bf16(from + i);
      const __m512 gate = load_bf16(from + ffn + i);
      const __m512 gradient = load_bf16(y_gradient + row * ffn + i);
      const Normal normal = normal_at(value);
      store_bf16(to + i, _mm512_mul_ps(_mm512_mul_ps(gradient, gate), slope_at(value, normal)));
      store_bf16(to + ffn + i, _mm512_mul_ps(gradient, _mm512_mul_ps(value, normal.below)));
    }
  }
}

BC_AVX512_BF16 void rotate(const RotaryShape& shape, const Bf16* qkv, const float* cosines, const float* sines,
                           int64_t begin, int64_t end, Bf16* out) {
  const int64_t half = shape.head_dim / 2;
  const int64_t hidden = shape.heads * shape.head_dim;
  for (int64_t token = begin; token < end; ++token) {
    const int64_t position = token % shape.seq;
    const Bf16* const from = qkv + token * 3 * hidden;
    Bf16* const to = out + token * 3 * hidden;
    for (int64_t head = 0; head < 2 * hidden; head += shape.head_dim) {  // of queries, then of keys
      for (int64_t i = 0; i < half; i += kLanes) {
        const __m512 cosine = _mm512_loadu_ps(cosines + position * half + i);
        const __m512 sine = _mm512_loadu_ps(sines + position * half + i);
        const __m512 first = load_bf16(from + head + i);
        const __m512 second = load_bf16(from + head + half + i);
        store_bf16(to + head + i, _mm512_fmsub_ps(first, cosine, _mm512_mul_ps(second, sine)));
        store_bf16(to + head + half + i, _mm512_fmadd_ps(second, cosine, _mm512_mul_ps(first, sine)));
      }
    }
    std::copy_n(from + 2 * hidden, hidden, to + 2 * hidden);
  }
}

}  // namespace bertcram::nn::kernels
