#pragma once
// AdamW (Loshchilov & Hutter 2019, algorithm 2) as one pass over memory: what comes before an update and after it too.

#include <cstdint>

namespace bertcram::optim {

/// Of one update.
struct AdamwStep {
  double learning_rate = 0;
  double weight_decay = 0;
  double beta1 = 0;
  double beta2 = 0;
  double epsilon = 0;
  int64_t number = 1;          ///< of this step, for the correction of the moments' bias
  double gradient_factor = 1;  ///< the gradient is multiplied with before: its mean and clipping
};

/// Flat buffers of one length.
struct AdamwBuffers {
  float* masters;
  float* first_moments;
  float* second_moments;
  float* gradients;     ///< zeros afterwards
  uint16_t* bf16_copy;  ///< what masters become, rounded to nearest even; null for none
};

/// Updates numbers [begin, end). Vectorised for AVX-512 and AVX2 where the processor has them.
void adamw(const AdamwStep& step, const AdamwBuffers& buffers, int64_t begin, int64_t end);

}  // namespace bertcram::optim
