#pragma once

#include <cstdint>

namespace bertcram::nn {

/// What all numbers share in one update by AdamW (Loshchilov & Hutter 2019, algorithm 2).
struct AdamwStep {
  double learning_rate = 0;
  double weight_decay = 0;
  double beta1 = 0;
  double beta2 = 0;
  double epsilon = 0;
  int64_t number = 1;          ///< of this step, for the correction of the moments' bias
  double gradient_factor = 1;  ///< the gradient is multiplied with before: its mean and clipping
};

}  // namespace bertcram::nn
