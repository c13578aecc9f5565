#pragma once
// How often each normalised word occurs in a corpus: the input of vocabulary training. Memory is bounded.

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/text/normalizer.h"
#include "bertcram/text/word_table.h"

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

struct WordCountOptions {
  /// Distinct words held, >= SharedWordCounts::kShards; about so many more, and the rarest are dropped. About 40 bytes a
  /// word, 750 MB in all; a vocabulary is trained from them in about 150 bytes a word, 3 GB in all. 100 GB of natural
  /// text have some 17 million.
  int64_t max_words = 20'000'000;
};

/// What the counters of all threads have counted. Kept in shards by the words' hashes, each with a lock of its own.
/// As long as nothing was pruned the counts do not depend on how the text was spread over counters; with a single
/// counter they never differ from run to run.
class SharedWordCounts {
 public:
  static constexpr uint32_t kShardBits = 6;
  static constexpr size_t kShards = size_t{1} << kShardBits;

  explicit SharedWordCounts(WordCountOptions options = {});

  /// All of it; afterwards there are no words. REQUIRES: all counters were flushed, and none counts meanwhile
  WordCounts take();
  /// Words held now. Thread-safe.
  int64_t distinct_words();

 private:
  friend class WordCounter;
  struct Shard {
    std::mutex mutex;
    WordTable words;
    uint64_t pruned_frequency = 0;
  };

  /// The shard of a word, by the highest bits of its hash.
  static size_t shard_of(uint64_t hash) { return static_cast<size_t>(hash >> (64 - kShardBits)); }
  /// Adds what a counter holds, a table per shard. Thread-safe.
  void add(const std::vector<WordTable>& tables, uint64_t total_words);
  void add_to_shard(Shard& shard, const WordTable& words) const;

  int64_t max_words_per_shard_;
  std::array<Shard, kShards> shards_;
  std::atomic<uint64_t> total_words_ = 0;
  std::atomic<size_t> next_first_shard_ = 0;
};

/// Counts words of added text for `all`. One per thread, not thread-safe itself: it counts on its own and hands over when
/// it holds some 100,000 words (8 MB), so that threads seldom meet.
class WordCounter {
 public:
  /// @param normalizer,all kept by the caller as long as this object
  WordCounter(const Normalizer& normalizer, SharedWordCounts& all);

  /// Words of more than kMaxCharsPerWord characters are ignored: WordPiece never cuts them up.
  void add(std::string_view text);
  /// Hands over what is still held. REQUIRES: called behind the last text; without it that is not counted
  void flush();

 private:
  WordScanner scanner_;
  SharedWordCounts& all_;
  std::vector<WordTable> tables_;  ///< one per shard
  int64_t held_words_ = 0;         ///< distinct ones
  uint64_t total_words_ = 0;       ///< since the last flush
};

}  // namespace bertcram::text
