#include "bertcram/text/word_counter.h"

#include <algorithm>
#include <utility>

#include "bertcram/text/unicode.h"
#include "bertcram/text/wordpiece.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"

namespace bertcram::text {
namespace {

/// A counter hands over at so many: the more, the fewer words come again and again; the fewer, the less memory per thread.
constexpr int64_t kMostHeldWords = 100'000;
/// Counters that hand over at once begin so many shards apart. Odd, so that every shard is somebody's first.
constexpr size_t kShardsApart = 19;

}  // namespace

SharedWordCounts::SharedWordCounts(WordCountOptions options)
    : max_words_per_shard_(options.max_words / static_cast<int64_t>(kShards)) {
  BC_CHECK(max_words_per_shard_ >= 1, "max_words ", options.max_words);
}

void SharedWordCounts::add(const std::vector<WordTable>& tables, uint64_t total_words) {
  const size_t first = next_first_shard_.fetch_add(kShardsApart);
  for (size_t i = 0; i < kShards; ++i) {
    const size_t shard = (first + i) % kShards;
    add_to_shard(shards_[shard], tables[shard]);
  }
  total_words_ += total_words;
}

void SharedWordCounts::add_to_shard(Shard& shard, const WordTable& words) const {
  const std::lock_guard lock(shard.mutex);
  words.for_each([&](std::string_view word, uint64_t count) {
    shard.words.add(word, util::hash64(word), count);
    if (shard.words.size() > max_words_per_shard_) {
      const uint64_t dropped = shard.words.prune(max_words_per_shard_ - max_words_per_shard_ / 4);
      shard.pruned_frequency = std::max(shard.pruned_frequency, dropped);
    }
  });
}

int64_t SharedWordCounts::distinct_words() {
  int64_t words = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    words += shard.words.size();
  }
  return words;
}

WordCounts SharedWordCounts::take() {
  WordCounts counts;
  counts.total_words = total_words_.exchange(0);
  counts.words.reserve(static_cast<size_t>(distinct_words()));
  for (Shard& shard : shards_) {
    const WordTable words = std::exchange(shard.words, {});  // freed shard by shard
    words.for_each([&](std::string_view word, uint64_t count) { counts.words.push_back({std::string(word), count}); });
    counts.pruned_frequency = std::max(counts.pruned_frequency, std::exchange(shard.pruned_frequency, uint64_t{0}));
  }
  std::ranges::sort(counts.words, {}, &WordCount::word);
  return counts;
}

WordCounter::WordCounter(const Normalizer& normalizer, SharedWordCounts& all)
    : scanner_(normalizer), all_(all), tables_(SharedWordCounts::kShards) {}

void WordCounter::add(std::string_view text) {
  scanner_.reset(text);
  for (std::string_view word = scanner_.next(); !word.empty(); word = scanner_.next()) {
    if (static_cast<int64_t>(word.size()) > kMaxCharsPerWord && count_chars(word) > kMaxCharsPerWord) {
      continue;
    }
    const uint64_t hash = util::hash64(word);
    held_words_ += tables_[SharedWordCounts::shard_of(hash)].add(word, hash, 1) ? 1 : 0;
    ++total_words_;
    if (held_words_ >= kMostHeldWords) {
      flush();
    }
  }
}

void WordCounter::flush() {
  all_.add(tables_, total_words_);
  std::ranges::for_each(tables_, &WordTable::clear);
  held_words_ = 0;
  total_words_ = 0;
}

}  // namespace bertcram::text
