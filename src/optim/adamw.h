#pragma once
// AdamW (Loshchilov & Hutter 2019, algorithm 2) as one pass over memory: what comes before an update and after it too.

#include <cstdint>

#include "bertcram/nn/adamw_step.h"

namespace bertcram::optim {

/// Flat buffers of one length.
struct AdamwBuffers {
  float* masters;
  float* first_moments;
  float* second_moments;
  float* gradients;     ///< zeros afterwards
  uint16_t* bf16_copy;  ///< what masters become, rounded to nearest even; null for none
};

/// Updates numbers [begin, end). Vectorised for AVX-512 and AVX2 where the processor has them.
void adamw(const nn::AdamwStep& step, const AdamwBuffers& buffers, int64_t begin, int64_t end);

}  // namespace bertcram::optim
