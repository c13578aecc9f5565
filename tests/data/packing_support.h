#pragma once
// A tiny tokenizer and random text for it: what the tests of packing and training have in common.

#include <memory>
#include <string>
#include <vector>

#include "bertcram/config/pack_config.h"
#include "bertcram/data/packer.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/util/random.h"
#include "bertcram/util/stop.h"
#include "util/test_support.h"

namespace bertcram::test {

/// Special tokens 0..4 and the letters, at the start of a word and inside one: 57 pieces.
inline const text::Tokenizer& tiny_tokenizer() {
  static const auto tokenizer = [] {  // tables of Unicode make it slow to build
    std::vector<std::string> vocab = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (char letter = 'a'; letter <= 'z'; ++letter) {
      vocab.emplace_back(1, letter);
      vocab.push_back(std::string("##") + letter);
    }
    return text::make_wordpiece_tokenizer(std::move(vocab), {});
  }();
  return *tokenizer;
}

/// Words of one to four letters, each followed by a space; `letters` narrows the alphabet.
inline std::string random_words(util::RandomStream& random, uint64_t words, uint64_t letters = 26) {
  std::string text;
  for (; words > 0; --words) {
    for (uint64_t length = 1 + random.below(4); length > 0; --length) {
      text += static_cast<char>('a' + random.below(letters));
    }
    text += ' ';
  }
  return text;
}

/// `count` documents of one line each.
inline std::vector<std::string> random_documents(uint64_t seed, int count) {
  util::RandomStream random(seed);
  std::vector<std::string> documents;
  for (int i = 0; i < count; ++i) {
    documents.push_back(random_words(random, 3 + random.below(25)) + "\n");
  }
  return documents;
}

inline std::string joined(const std::vector<std::string>& documents) {
  std::string text;
  for (const std::string& document : documents) {
    text += document + "\n";
  }
  return text;
}

inline data::PackCounts pack(const config::PackConfig& config) {
  const util::StopFlag stop;
  return data::run_pack(config, tiny_tokenizer(), {.stop = stop, .progress = util::ProgressStyle::kQuiet});
}

}  // namespace bertcram::test
