#pragma once
// WordPiece: a word is cut into the longest vocabulary entries from left to right; pieces after the first carry "##".

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bertcram/text/double_array.h"
#include "bertcram/text/vocabulary.h"

namespace bertcram::text {

inline constexpr std::string_view kContinuationPrefix = "##";
inline constexpr int64_t kMaxCharsPerWord = 100;

/// Greedy longest-match-first over one trie with two roots: the start, and the state behind "##".
/// Work per word is bounded by its length times the longest token; words are bounded, so a text costs linear time.
/// No allocation, no hashing. Immutable, thread-safe.
/// Pinned by: tests/text/wordpiece_test.cpp (against a brute-force matcher).
class WordPiece {
 public:
  /// @param vocabulary kept by the caller as long as this object
  /// @param unknown_id for a word that cannot be cut up, or of more than max_chars_per_word characters
  WordPiece(const Vocabulary& vocabulary, int32_t unknown_id, int64_t max_chars_per_word = kMaxCharsPerWord);

  /// Appends the ids of one normalised word, which is not empty.
  /// @param barred ids that are not used (their text is plain text), as flags by id; may be empty. The unknown id is used all
  ///   the same where a word cannot be cut up
  void encode_word(std::string_view word, std::span<const char> barred, std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const { encode_word(word, {}, ids); }

 private:
  DoubleArray trie_;
  DoubleArray::State continuation_root_;
  int32_t unknown_id_;
  int64_t max_chars_per_word_;
};

}  // namespace bertcram::text
