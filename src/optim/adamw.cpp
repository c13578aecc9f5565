#include "adamw.h"

#include <bit>
#include <cmath>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define BC_FOR_EACH_PROCESSOR [[gnu::target_clones("arch=skylake-avx512", "arch=haswell", "default")]]
#else
#define BC_FOR_EACH_PROCESSOR
#endif

namespace bertcram::optim {
namespace {

/// What all numbers of a step share.
struct Factors {
  explicit Factors(const nn::AdamwStep& step)
      : gradient(static_cast<float>(step.gradient_factor)),
        beta1(static_cast<float>(step.beta1)),
        rest1(static_cast<float>(1 - step.beta1)),
        beta2(static_cast<float>(step.beta2)),
        rest2(static_cast<float>(1 - step.beta2)),
        decay(static_cast<float>(1 - step.learning_rate * step.weight_decay)),
        rate(static_cast<float>(step.learning_rate / (1 - std::pow(step.beta1, static_cast<double>(step.number))))),
        root(static_cast<float>(1 / std::sqrt(1 - std::pow(step.beta2, static_cast<double>(step.number))))),
        epsilon(static_cast<float>(step.epsilon)) {}
  float gradient;
  float beta1;
  float rest1;
  float beta2;
  float rest2;
  float decay;
  float rate;  // corrected for the bias of the first moment
  float root;  // likewise, of the second's root
  float epsilon;
};

/// To nearest, ties to even; NaN stays one.
inline uint16_t rounded(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t nearest = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  return static_cast<uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FC0U : nearest);
}

BC_FOR_EACH_PROCESSOR void update(const Factors& given, float* __restrict masters, float* __restrict first,
                                  float* __restrict second, float* __restrict gradients, int64_t count) {
  const Factors factors = given;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = gradients[i] * factors.gradient;
    const float mean = factors.beta1 * first[i] + factors.rest1 * gradient;
    const float spread = factors.beta2 * second[i] + factors.rest2 * gradient * gradient;
    masters[i] =
        factors.decay * masters[i] - factors.rate * mean / (std::sqrt(spread) * factors.root + factors.epsilon);
    first[i] = mean;
    second[i] = spread;
    gradients[i] = 0.0F;
  }
}

BC_FOR_EACH_PROCESSOR void round_to_bf16(const float* __restrict from, uint16_t* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = rounded(from[i]);
  }
}

}  // namespace

void adamw(const nn::AdamwStep& step, const AdamwBuffers& buffers, int64_t begin, int64_t end) {
  constexpr int64_t kBlock = 2048;  // whose masters are still in the first cache when they are rounded
  const Factors factors(step);
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t count = end - at < kBlock ? end - at : kBlock;
    update(factors, buffers.masters + at, buffers.first_moments + at, buffers.second_moments + at,
           buffers.gradients + at, count);
    if (buffers.bf16_copy != nullptr) {
      round_to_bf16(buffers.masters + at, buffers.bf16_copy + at, count);
    }
  }
}

}  // namespace bertcram::optim
