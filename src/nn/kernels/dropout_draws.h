#pragma once
// What dropout draws: a hash of an entry's index below a key, so that it can be drawn again anywhere and in any order.

#include <cstdint>

#include "bertcram/nn/dropout.h"

namespace bertcram::nn {

/// What a run over a tensor needs: an entry stays where its draw, uniform in 32 bits, is not below the threshold.
struct Draws {
  uint32_t first_key = 0;
  uint32_t second_key = 0;
  uint32_t threshold = 0;  ///< 0: all stay
  float scale = 1.0F;
};

/// REQUIRES: 0 <= probability < 1
inline Draws draws_of(const Dropout& dropout) {
  return {.first_key = static_cast<uint32_t>(dropout.key),
          .second_key = static_cast<uint32_t>(dropout.key >> 32),
          .threshold = static_cast<uint32_t>(dropout.probability * 0x1.0p32),
          .scale = static_cast<float>(1.0 / (1.0 - dropout.probability))};
}

// Three rounds of multiplying and folding (as C. Wellons's triple32).
inline constexpr uint32_t kDrawFactors[3] = {0xed5ad4bbU, 0xac4c1b51U, 0x31848babU};
inline constexpr int kDrawShifts[4] = {17, 11, 15, 14};

inline uint32_t draw(uint32_t index, const Draws& draws) {
  uint32_t x = index + draws.first_key;
  x = (x ^ (x >> kDrawShifts[0])) * kDrawFactors[0];
  x = ((x ^ (x >> kDrawShifts[1])) ^ draws.second_key) * kDrawFactors[1];
  x = (x ^ (x >> kDrawShifts[2])) * kDrawFactors[2];
  return x ^ (x >> kDrawShifts[3]);
}

}  // namespace bertcram::nn
