#pragma once
// Lines of text for the SentencePiece trainer, which holds all of its input in memory: a bounded random sample.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bertcram/config/tokenize_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/data/tokenizer_training.h"

namespace bertcram::data {

/// Keeps the sentences whose numbers hash lowest, as many as fit: a uniform sample, the same whoever draws it.
class SentenceSample {
 public:
  explicit SentenceSample(int64_t max_bytes) : max_bytes_(max_bytes) {}

  void add(std::string_view sentence);
  /// The sample in the order of the text; afterwards it is empty.
  std::vector<std::string> take();
  int64_t bytes() const { return bytes_; }

 private:
  struct Kept {
    uint64_t key;
    uint64_t number;
    std::string text;
    bool operator<(const Kept& other) const { return std::pair(key, number) < std::pair(other.key, other.number); }
  };

  int64_t max_bytes_;
  int64_t bytes_ = 0;
  uint64_t added_ = 0;
  std::vector<Kept> kept_;  ///< a heap, the highest key on top
};

/// Cuts a line into parts of at most `max_bytes`, at spaces where there are any, otherwise between characters.
std::vector<std::string_view> cut_line(std::string_view line, size_t max_bytes);

struct SampledText {
  std::vector<std::string> sentences;
  int64_t sample_bytes = 0;
  int64_t text_bytes = 0;
  int64_t words = 0;
  int64_t invalid_utf8 = 0;
  std::vector<SourceSummary> sources;
};

/// @throws DataError, util::StoppedError
SampledText sample_sentences(const config::TokenizeConfig& config, const InputList& inputs,
                             const TokenizeContext& context);

}  // namespace bertcram::data
