#include "bertcram/text/wordpiece_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "bertcram/util/error.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

using Pieces = std::vector<std::string>;

/// The algorithm as it is told: count every pair anew for each join.
Pieces train_by_definition(const WordCounts& counts, const WordPieceTrainOptions& options) {
  Pieces vocab = options.specials;
  std::set<char32_t> starts;
  std::set<char32_t> continuations;
  std::vector<Pieces> words;
  for (const WordCount& entry : counts.words) {
    Pieces& word = words.emplace_back();
    for (const char32_t c : to_code_points(entry.word)) {
      starts.insert(c);
      if (!word.empty()) {
        continuations.insert(c);
      }
      word.push_back((word.empty() ? "" : "##") + to_utf8({&c, 1}));
    }
  }
  for (const char32_t c : starts) {
    vocab.push_back(to_utf8({&c, 1}));
  }
  for (const char32_t c : continuations) {
    vocab.push_back("##" + to_utf8({&c, 1}));
  }
  const auto id_of = [&](const std::string& piece) { return std::ranges::find(vocab, piece) - vocab.begin(); };
  while (static_cast<int64_t>(vocab.size()) < options.vocab_size) {
    std::map<std::pair<std::ptrdiff_t, std::ptrdiff_t>, uint64_t> pairs;
    for (size_t w = 0; w < words.size(); ++w) {
      for (size_t i = 0; i + 1 < words[w].size(); ++i) {
        pairs[{id_of(words[w][i]), id_of(words[w][i + 1])}] += counts.words[w].count;
      }
    }
    const auto best = std::ranges::max_element(pairs, {}, [](const auto& entry) { return entry.second; });
    if (best == pairs.end() || best->second < options.min_frequency) {
      return vocab;
    }
    const std::string left = vocab[static_cast<size_t>(best->first.first)];
    const std::string right = vocab[static_cast<size_t>(best->first.second)];
    for (Pieces& word : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] == left && word[i + 1] == right) {
          word[i] += right.substr(2);
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
      }
    }
    if (std::ranges::find(vocab, left + right.substr(2)) == vocab.end()) {
      vocab.push_back(left + right.substr(2));
    }
  }
  return vocab;
}

WordCounts random_counts(util::RandomStream& rng) {
  std::map<std::string, uint64_t> words;
  for (int i = 0; i < 40; ++i) {
    std::string word;
    for (uint64_t left = 1 + rng.below(9); left > 0; --left) {
      word += rng.below(8) == 0 ? "é" : std::string(1, static_cast<char>('a' + rng.below(3)));
    }
    words[word] += 1 + rng.below(4);
  }
  WordCounts counts;
  for (const auto& [word, count] : words) {
    counts.words.push_back({word, count});
  }
  return counts;
}

WordPieceTrainOptions of_size(int64_t vocab_size) {
  WordPieceTrainOptions options;
  options.vocab_size = vocab_size;
  return options;
}

TEST(WordPieceTrainer, JoinsTheMostFrequentPairFirst) {
  const WordCounts counts = {.words = {{"ab", 5}, {"abc", 3}, {"xc", 4}}};
  EXPECT_EQ(train_wordpiece(counts, of_size(13)), vocab_with({"a", "b", "c", "x", "##b", "##c", "ab", "xc"}));
}

TEST(WordPieceTrainerProperty, EqualsItsDefinitionOnRandomWords) {
  const uint64_t seed = test_seed();
  util::RandomStream rng(seed);
  for (int round = 0; round < 60; ++round) {
    const WordCounts counts = random_counts(rng);
    const Pieces expected = train_by_definition(counts, of_size(static_cast<int64_t>(20 + rng.below(40))));
    EXPECT_EQ(train_wordpiece(counts, of_size(static_cast<int64_t>(expected.size()))), expected) << "seed " << seed;
  }
}

TEST(WordPieceTrainer, KeepsOnlyTheMostFrequentCharacters) {
  const WordCounts counts = {.words = {{"ab", 1}, {"zzb", 5}}};
  WordPieceTrainOptions options = of_size(9);
  options.limit_alphabet = 2;
  EXPECT_EQ(train_wordpiece(counts, options), vocab_with({"b", "z", "##b", "##z"}));
}

TEST(WordPieceTrainer, SaysHowManyPiecesTheTextGives) {
  const WordCounts counts = {.words = {{"ab", 2}, {"cd", 1}}};
  const auto too_many = message_of<ConfigError>([&] { train_wordpiece(counts, of_size(100)); });
  EXPECT_NE(too_many.find("only 12 word pieces"), std::string::npos) << too_many;
  const auto too_few = message_of<ConfigError>([&] { train_wordpiece(counts, of_size(10)); });
  EXPECT_NE(too_few.find("--vocab-size 11 or more"), std::string::npos) << too_few;
}

TEST(WordPieceTrainer, CanBeStoppedBeforeAnyJoin) {
  const WordCounts counts = {.words = {{"abcd", 5}, {"bcd", 3}}};
  WordPieceTrainOptions options = of_size(14);
  int looks = 0;
  options.check_stop = [&] { ++looks; };
  const Pieces whole = train_wordpiece(counts, options);
  EXPECT_EQ(whole.size(), 14u);
  const int looks_in_all = looks;
  EXPECT_GE(looks_in_all, 5) << "one for each of the two joins, and some before them";
  for (int last = 1; last <= looks_in_all; ++last) {
    looks = 0;
    options.check_stop = [&] {
      if (++looks == last) {
        throw DataError("stopped");
      }
    };
    EXPECT_EQ(message_of<DataError>([&] { train_wordpiece(counts, options); }), "stopped") << last;
  }
}

}  // namespace
}  // namespace bertcram::text
