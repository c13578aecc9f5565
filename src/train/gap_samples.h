#pragma once
// A few gaps in held-out text, and what the model expects in them: what a loss means, for people.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/model/encoder.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/train/mask_filler.h"

namespace bertcram::train {

/// A gap with the text around it.
struct GapSample {
  std::string before;
  std::string after;
  std::string truth;       ///< the token that was there
  std::vector<Guess> top;  ///< the most probable first
};

class GapSamples {
 public:
  /// Chooses up to four gaps as a function of the rows alone, each with some thirty tokens of its document around it: together
  /// they cost as much as one row of 128 tokens. Rows without a token that can be asked for give none.
  GapSamples(const data::RowStore& rows, const text::Tokenizer& tokenizer);

  /// Draws no random numbers. @param device  of the model's parameters
  std::vector<GapSample> fill(const model::Encoder& masked_lm, at::Device device) const;

 private:
  struct Gap {
    std::vector<int32_t> ids;  ///< [CLS] text [SEP], [MASK] in the gap
    int64_t position = 0;
    int32_t truth = 0;
  };

  const text::Tokenizer& tokenizer_;
  std::vector<Gap> gaps_;
};

}  // namespace bertcram::train
