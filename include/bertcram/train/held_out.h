#pragma once

#include <cmath>
#include <cstdint>

namespace bertcram::train {

/// Held-out masked-language-model figures, per masked token.
struct HeldOutScores {
  double loss = 0;      ///< nats
  double accuracy = 0;  ///< share predicted right, 0..1
  int64_t masked_tokens = 0;

  double perplexity() const { return std::exp(loss); }
};

}  // namespace bertcram::train
