#pragma once
// The tokens that a masked language model expects.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "bertcram/text/tokenizer.h"
#include "bertcram/train/mask_filler.h"

namespace bertcram::train {

/// Of each row the `most` tokens with the highest probabilities, the most probable first; fewer where the tokenizer has fewer.
/// @param logits  [rows, vocab] fp32 on any device; vocab may be more than the tokenizer has (padded for the products), and what is
///                beyond it is never a guess
std::vector<std::vector<Guess>> most_probable_tokens(const at::Tensor& logits, const text::Tokenizer& tokenizer,
                                                     int64_t most);

}  // namespace bertcram::train
