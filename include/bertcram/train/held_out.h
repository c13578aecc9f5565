#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

namespace bertcram::train {

/// Held-out figures of a discriminator, per token.
struct ReplacedTokenScores {
  double loss = 0;            ///< nats
  double accuracy = 0;        ///< share of all tokens told right, 0..1
  double replaced_share = 0;  ///< share of the tokens that are replaced: what always saying "original" gets wrong
  double found = 0;           ///< share of the replaced tokens that are recognised, 0..1
};

/// Held-out masked-language-model figures, per masked token.
struct HeldOutScores {
  double loss = 0;      ///< nats
  double accuracy = 0;  ///< share predicted right, 0..1
  int64_t masked_tokens = 0;
  std::optional<ReplacedTokenScores> replaced_tokens = std::nullopt;  ///< the figures above are the generator's then

  double perplexity() const { return std::exp(loss); }
  bool are_numbers() const { return std::isfinite(loss) && (!replaced_tokens || std::isfinite(replaced_tokens->loss)); }
};

}  // namespace bertcram::train
