#include "cross_entropy_bf16.h"

#include <cmath>

#include "avx512_bf16.h"

namespace bertcram::nn::kernels {

BC_AVX512_BF16 void cross_entropy(Bf16* logits, int64_t vocab, const int64_t* targets, int64_t begin, int64_t end,
                                  float* losses) {
  for (int64_t row = begin; row < end; ++row) {
    Bf16* const numbers = logits + row * vocab;
    __m512 highest = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < vocab; i += kLanes) {
      highest = _mm512_max_ps(highest, load_some(numbers + i, first_lanes(vocab - i), -INFINITY));
    }
    const float most = _mm512_reduce_max_ps(highest);
    __m512 sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < vocab; i += kLanes) {
      const __m512 logit = load_some(numbers + i, first_lanes(vocab - i), -INFINITY);
      sums = _mm512_add_ps(sums, exp_ps(_mm512_sub_ps(logit, _mm512_set1_ps(most))));
    }
    const float log_sum = most + std::log(_mm512_reduce_add_ps(sums));
    const int64_t target = targets[row];
    const uint32_t bits = static_cast<uint32_t>(numbers[target]) << 16U;
    float logit_of_target = 0;
    __builtin_memcpy(&logit_of_target, &bits, sizeof bits);
    losses[row] = log_sum - logit_of_target;
    for (int64_t i = 0; i < vocab; i += kLanes) {
      const __mmask16 mask = first_lanes(vocab - i);
      __m512 error = exp_ps(_mm512_sub_ps(load_some(numbers + i, mask, -INFINITY), _mm512_set1_ps(log_sum)));
      if (target >= i && target < i + kLanes) {
        const auto lane = static_cast<__mmask16>(1U << (target - i));
        error = _mm512_mask_sub_ps(error, lane, error, _mm512_set1_ps(1.0F));
      }
      store_some(numbers + i, mask, error);
    }
  }
}

}  // namespace bertcram::nn::kernels
