#pragma once
// How often each normalised word occurs in a corpus: the input of vocabulary training. Memory is bounded.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/text/normalizer.h"

namespace bertcram::text {

struct WordCount {
  std::string word;
  uint64_t count;

  bool operator==(const WordCount&) const = default;
};

struct WordCounts {
  std::vector<WordCount> words;   ///< ordered by the bytes of the word: independent of threads and hashing
  uint64_t total_words = 0;       ///< occurrences counted, those of pruned words included
  uint64_t pruned_frequency = 0;  ///< words dropped to save memory had at most this count when dropped; 0: none were
};

struct WordCounterOptions {
  /// Distinct words held by one counter, >= 1; more, and the rarest are dropped. About 100 bytes a word.
  int64_t max_words = 5'000'000;
};

/// Counts words of added text. One per thread, merged at the end; not thread-safe itself.
/// As long as nothing was pruned the counts do not depend on how the text was spread over counters.
class WordCounter {
 public:
  /// @param normalizer kept by the caller as long as this object
  explicit WordCounter(const Normalizer& normalizer, WordCounterOptions options = {});

  /// Words of more than kMaxCharsPerWord characters are ignored: WordPiece never cuts them up.
  void add(std::string_view text);
  /// Adds what `other` has counted.
  void merge(const WordCounter& other);

  WordCounts counts() const;
  int64_t distinct_words() const { return used_slots_; }

 private:
  struct Slot {
    uint64_t count = 0;  ///< 0: free
    uint64_t offset = 0;
    uint32_t size_bytes = 0;
    uint32_t hash = 0;
  };

  void add_word(std::string_view word, uint64_t count);
  std::string_view word_of(const Slot& slot) const { return {bytes_.data() + slot.offset, slot.size_bytes}; }
  void rebuild(size_t new_slots, uint64_t drop_up_to);
  void prune();

  WordScanner scanner_;
  WordCounterOptions options_;
  std::vector<Slot> slots_;  ///< open addressing, a power of two
  std::vector<char> bytes_;  ///< the words themselves
  int64_t used_slots_ = 0;
  uint64_t total_words_ = 0;
  uint64_t pruned_frequency_ = 0;
};

}  // namespace bertcram::text
