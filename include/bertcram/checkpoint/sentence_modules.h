#pragma once
// What a folder of sentence-transformers says about the way from token states to a vector.

#include <cstdint>
#include <filesystem>

#include "bertcram/config/embed_config.h"

namespace bertcram::checkpoint {

struct SentenceModules {
  config::Pooling pooling = config::Pooling::kMean;
  bool normalize = false;
  int64_t max_tokens = 0;  ///< 0: not said
};

/// Reads modules.json and what it names; the defaults above for a folder without one.
/// @throws DataError if a file is damaged, or naming a module or pooling that bertcram does not compute
SentenceModules read_sentence_modules(const std::filesystem::path& directory);

}  // namespace bertcram::checkpoint
