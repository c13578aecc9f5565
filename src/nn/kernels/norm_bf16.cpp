#include "norm_bf16.h"

#include <cmath>

#include "avx512_bf16.h"

namespace bertcram::nn::kernels {
namespace {

BC_AVX512_BF16 float sum_of_row(const Bf16* row, int64_t hidden) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < hidden; i += kLanes) {
    sum = _mm512_add_ps(sum, load_bf16(row + i));
  }
  return _mm512_reduce_add_ps(sum);
}

BC_AVX512_BF16 float squares_about(const Bf16* row, int64_t hidden, float mean) {
  const __m512 centre = _mm512_set1_ps(mean);
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < hidden; i += kLanes) {
    const __m512 distance = _mm512_sub_ps(load_bf16(row + i), centre);
    sum = _mm512_fmadd_ps(distance, distance, sum);
  }
  return _mm512_reduce_add_ps(sum);
}

}  // namespace

BC_AVX512_BF16 void add(const Bf16* x, const Bf16* branch, int64_t hidden, int64_t begin, int64_t end, Bf16* sum) {
  for (int64_t i = begin * hidden; i < end * hidden; i += kLanes) {
    store_bf16(sum + i, _mm512_add_ps(load_bf16(x + i), load_bf16(branch + i)));
  }
}

BC_AVX512_BF16 void norm(const Bf16* x, int64_t hidden, int64_t begin, int64_t end, const NormWeights& weights,
                         double eps, Bf16* y, const NormStatistics& statistics) {
  const auto width = static_cast<float>(hidden);
  for (int64_t row = begin; row < end; ++row) {
    const Bf16* const from = x + row * hidden;  // in the first cache after the first reading
    const float mean = sum_of_row(from, hidden) / width;
    const float variance = squares_about(from, hidden, mean) / width;
    const float inverse = 1.0F / std::sqrt(variance + static_cast<float>(eps));
    statistics.means[row] = mean;
    statistics.inverse_spreads[row] = inverse;
    const __m512 centre = _mm512_set1_ps(mean);
    const __m512 factor = _mm512_set1_ps(inverse);
    for (int64_t i = 0; i < hidden; i += kLanes) {
      const __m512 normal = _mm512_mul_ps(_mm512_sub_ps(load_bf16(from + i), centre), factor);
      const __m512 bias = weights.bias == nullptr ? _mm512_setzero_ps() : load_bf16(weights.bias + i);
      store_bf16(y + row * hidden + i, _mm512_fmadd_ps(normal, load_bf16(weights.weight + i), bias));
    }
  }
}

// With n = (x - mean) · inverse and g = y_gradient · weight: x_gradient = inverse · (g - mean(g) - n · mean(g · n)).
BC_AVX512_BF16 void norm_backward(const Bf16* x, const Bf16* y_gradient, const Bf16* x_residual, int64_t hidden,
                                  int64_t begin, int64_t end, const Bf16* weight, const NormStatistics& statistics,
                                  Bf16* x_gradient, const NormGradients& gradients) {
  const auto width = static_cast<float>(hidden);
  for (int64_t row = begin; row < end; ++row) {
    const Bf16* const from = x + row * hidden;
    const Bf16* const given = y_gradient + row * hidden;
    const __m512 centre = _mm512_set1_ps(statistics.means[row]);
    const __m512 inverse = _mm512_set1_ps(statistics.inverse_spreads[row]);
    __m512 sum = _mm512_setzero_ps();
    __m512 product_sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < hidden; i += kLanes) {
      const __m512 normal = _mm512_mul_ps(_mm512_sub_ps(load_bf16(from + i), centre), inverse);
      const __m512 gradient = load_bf16(given + i);
      const __m512 weighted = _mm512_mul_ps(gradient, load_bf16(weight + i));
      sum = _mm512_add_ps(sum, weighted);
      product_sum = _mm512_fmadd_ps(weighted, normal, product_sum);
      _mm512_storeu_ps(gradients.weight + i, _mm512_fmadd_ps(gradient, normal, _mm512_loadu_ps(gradients.weight + i)));
      if (gradients.bias != nullptr) {
        _mm512_storeu_ps(gradients.bias + i, _mm512_add_ps(gradient, _mm512_loadu_ps(gradients.bias + i)));
      }
    }
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / width);
    const __m512 slope = _mm512_set1_ps(_mm512_reduce_add_ps(product_sum) / width);
    for (int64_t i = 0; i < hidden; i += kLanes) {
      const __m512 normal = _mm512_mul_ps(_mm512_sub_ps(load_bf16(from + i), centre), inverse);
      const __m512 weighted = _mm512_mul_ps(load_bf16(given + i), load_bf16(weight + i));
      const __m512 rest = _mm512_fnmadd_ps(normal, slope, _mm512_sub_ps(weighted, mean));
      const __m512 beside = x_residual == nullptr ? _mm512_setzero_ps() : load_bf16(x_residual + row * hidden + i);
      store_bf16(x_gradient + row * hidden + i, _mm512_fmadd_ps(rest, inverse, beside));
    }
  }
}

}  // namespace bertcram::nn::kernels
