#pragma once
// A text as a sequence of words, each a number, and runs of words: what duplicates and contamination are told by.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bertcram/util/random.h"

namespace bertcram::data {

/// Replaces `words` with the hashes of the words of `text`, in order: runs of letters, marks and digits in lower case;
/// an ideograph is a word of its own. White space, punctuation and symbols only separate.
void hash_words(std::string_view text, std::vector<uint64_t>& words);

/// Calls `visit(hash)` for each run of `length` neighbouring words; a shorter text is one run, an empty one none.
template <class Visit>
void for_each_run(std::span<const uint64_t> words, size_t length, Visit visit) {
  constexpr uint64_t kBase = 0x9e3779b97f4a7c15ULL;  // odd: a polynomial in it modulo 2^64 forgets no word
  uint64_t leading = 1;                              // kBase^length, the factor of the word that leaves
  for (size_t i = 0; i < length; ++i) {
    leading *= kBase;
  }
  uint64_t run = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    run = run * kBase + words[i];
    if (i >= length) {
      run -= leading * words[i - length];
    }
    if (i + 1 >= length) {
      visit(util::mix64(run));
    }
  }
  if (!words.empty() && words.size() < length) {
    visit(util::mix64(run));
  }
}

}  // namespace bertcram::data
