#pragma once
// `bertcram fill-mask`: what a model expects in the gaps of a text.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/config/embed_config.h"

namespace bertcram::train {

struct Guess {
  std::string token;
  int32_t id = 0;
  double probability = 0;  ///< 0..1
};

/// One [MASK] of a text.
struct FilledMask {
  int64_t position = 0;    ///< among the tokens of the text, [CLS] being 0
  std::vector<Guess> top;  ///< the most probable first
};

class MaskFiller {
 public:
  virtual ~MaskFiller() = default;
  /// @throws DataError if the text holds no [MASK], or more tokens than the model has positions
  virtual std::vector<FilledMask> fill(std::string_view text) = 0;
};

/// @throws DataError if the model is missing, damaged, or has no masked-LM head
std::unique_ptr<MaskFiller> open_mask_filler(const config::FillMaskConfig& config);

}  // namespace bertcram::train
