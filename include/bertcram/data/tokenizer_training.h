#pragma once
// Text → tokenizer folder: counts the words of all inputs on several threads and trains a vocabulary from the counts.

#include <cstdint>
#include <string>

#include "bertcram/config/tokenize_config.h"
#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

struct TokenizeResult {
  int64_t vocab_size = 0;
  int64_t words = 0;         ///< occurrences in the text; unigram and bpe: parts between white space
  int64_t invalid_utf8 = 0;  ///< byte sequences read as U+FFFD
  std::string fingerprint;
};

struct TokenizeContext {
  const util::StopFlag& stop;
  util::ProgressStyle progress = util::ProgressStyle::kAuto;
};

/// Trains on `config.input` and fills `config.output`. A folder that already holds the result of the same options and
/// inputs is left as it is, or made again if it is damaged or incomplete; one that holds anything else is refused unless config.overwrite.
/// @throws DataError, ConfigError, ResourceError; util::StoppedError when asked to stop
TokenizeResult run_tokenize(const config::TokenizeConfig& config, const TokenizeContext& context);

}  // namespace bertcram::data
