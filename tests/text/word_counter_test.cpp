#include "bertcram/text/word_counter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

WordCounts count_words(std::string_view text) {
  const Normalizer normalizer(NormalizerOptions{});
  SharedWordCounts all;
  WordCounter counter(normalizer, all);
  counter.add(text);
  counter.flush();
  return all.take();
}

/// Counts numbers of seven digits, [1'000'000, 1'000'000 + words), and as often the word "common"; thread t takes every
/// threads-th from t on.
WordCounts count_numbers(size_t threads, int words) {
  const Normalizer normalizer(NormalizerOptions{});
  SharedWordCounts all;
  std::vector<std::thread> running;
  for (size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      WordCounter counter(normalizer, all);
      for (int i = static_cast<int>(t); i < words; i += static_cast<int>(threads)) {
        counter.add("common " + std::to_string(1'000'000 + i));
      }
      counter.flush();
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  return all.take();
}

TEST(WordCounter, CountsNormalisedWordsInOrder) {
  const WordCounts counts = count_words("The cat, the CAT: été");
  const std::vector<WordCount> expected = {{",", 1}, {":", 1}, {"cat", 2}, {"ete", 1}, {"the", 2}};
  EXPECT_EQ(counts.words, expected);
  EXPECT_EQ(counts.total_words, 7u);
  EXPECT_EQ(counts.pruned_frequency, 0u);
}

TEST(WordCounter, IgnoresWordsThatWordPieceNeverCutsUp) {
  EXPECT_EQ(count_words(std::string(101, 'x') + " " + std::string(100, 'y')).words.size(), 1u);
}

TEST(WordCounter, SeveralCountersEqualOne) {
  const uint64_t seed = test_seed();
  util::RandomStream rng(seed);
  const Normalizer normalizer(NormalizerOptions{});
  SharedWordCounts of_one;
  SharedWordCounts of_three;
  WordCounter whole(normalizer, of_one);
  WordCounter parts[] = {{normalizer, of_three}, {normalizer, of_three}, {normalizer, of_three}};
  for (int i = 0; i < 4000; ++i) {
    const std::string text = to_utf8(random_code_points(rng, 12));
    whole.add(text);
    WordCounter& part = parts[rng.below(std::size(parts))];
    part.add(text);
    if (rng.below(20) == 0) {
      part.flush();
    }
  }
  whole.flush();
  std::ranges::for_each(parts, &WordCounter::flush);
  const WordCounts expected = of_one.take();
  const WordCounts found = of_three.take();
  EXPECT_EQ(found.words, expected.words) << "seed " << seed;
  EXPECT_EQ(found.total_words, expected.total_words);
}

TEST(WordCounter, ThreadsCountWhatOneThreadCountsHoweverManyWordsThereAre) {
  constexpr int kWords = 450'000;  // a counter hands over several times
  const WordCounts one = count_numbers(1, kWords);
  ASSERT_EQ(one.words.size(), kWords + 1u);
  EXPECT_EQ(one.total_words, 2u * kWords);
  EXPECT_EQ(one.pruned_frequency, 0u);
  EXPECT_EQ(one.words.front(), (WordCount{"1000000", 1}));
  EXPECT_EQ(one.words.back(), (WordCount{"common", kWords}));
  const WordCounts four = count_numbers(4, kWords);
  EXPECT_TRUE(four.words == one.words);  // not printed: there are too many
  EXPECT_EQ(four.total_words, one.total_words);
}

TEST(WordCounter, IsEmptyAfterItsCountsWereTaken) {
  const Normalizer normalizer(NormalizerOptions{});
  SharedWordCounts all;
  WordCounter counter(normalizer, all);
  counter.add("a b a");
  counter.flush();
  EXPECT_EQ(all.take().total_words, 3u);
  EXPECT_EQ(all.distinct_words(), 0);
  counter.add("b");
  counter.flush();
  const WordCounts again = all.take();
  EXPECT_EQ(again.words, (std::vector<WordCount>{{"b", 1}}));
  EXPECT_EQ(again.total_words, 1u);
}

TEST(WordCounter, DropsTheRarestWordsWhenThereAreTooManyAndSaysSo) {
  constexpr int64_t kMaxWords = 6400;
  const Normalizer normalizer(NormalizerOptions{});
  SharedWordCounts all({.max_words = kMaxWords});
  WordCounter counter(normalizer, all);
  for (int i = 0; i < 40'000; ++i) {
    counter.add("often sometimes rare" + std::to_string(i));
    if (i % 1000 == 999) {
      counter.flush();
      EXPECT_LE(all.distinct_words(), kMaxWords);
    }
  }
  const WordCounts counts = all.take();
  EXPECT_LE(static_cast<int64_t>(counts.words.size()), kMaxWords);
  EXPECT_EQ(counts.pruned_frequency, 1u);
  EXPECT_EQ(counts.total_words, 120'000u);
  EXPECT_NE(std::ranges::find(counts.words, WordCount{"often", 40'000}), counts.words.end());
}

TEST(WordCounter, RefusesAMaximumOfLessThanAWordPerShard) {
  EXPECT_THROW(SharedWordCounts({.max_words = 63}), InternalError);
}

TEST(WordTableProperty, HoldsWhatAMapHoldsAlsoAfterPruning) {
  const uint64_t seed = test_seed();
  util::RandomStream rng(seed);
  for (int round = 0; round < 20; ++round) {
    WordTable table;
    std::map<std::string, uint64_t> expected;
    for (int i = 0; i < 3000; ++i) {
      const std::string word = std::to_string(rng.below(1 + rng.below(4000)));
      const uint64_t count = 1 + rng.below(3);
      EXPECT_EQ(table.add(word, util::hash64(word), count), !expected.contains(word));
      expected[word] += count;
    }
    const auto content = [&] {
      std::map<std::string, uint64_t> words;
      table.for_each([&](std::string_view word, uint64_t count) { words[std::string(word)] = count; });
      return words;
    };
    ASSERT_EQ(content(), expected) << "seed " << seed;
    ASSERT_EQ(table.size(), static_cast<int64_t>(expected.size()));
    const int64_t kept = static_cast<int64_t>(rng.below(expected.size()));
    const uint64_t dropped = table.prune(kept);
    std::erase_if(expected, [&](const auto& entry) { return entry.second <= dropped; });
    ASSERT_EQ(content(), expected) << "seed " << seed;
    ASSERT_LE(table.size(), kept);
    table.clear();
    ASSERT_TRUE(content().empty());
    ASSERT_EQ(table.size(), 0);
  }
}

}  // namespace
}  // namespace bertcram::text
