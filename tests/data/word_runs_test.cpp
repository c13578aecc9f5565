// Words as numbers, and runs of them.

#include "data/word_runs.h"

#include <gtest/gtest.h>

#include <set>

#include "util/test_support.h"

namespace bertcram::data {
namespace {

std::vector<uint64_t> words_of(std::string_view text) {
  std::vector<uint64_t> words;
  hash_words(text, words);
  return words;
}

std::vector<uint64_t> runs_of(const std::vector<uint64_t>& words, size_t length) {
  std::vector<uint64_t> runs;
  for_each_run(words, length, [&](uint64_t run) { runs.push_back(run); });
  return runs;
}

TEST(HashWords, IgnoresCasePunctuationAndSpaces) {
  EXPECT_EQ(words_of("The cat, 42 times!"), words_of("  the\nCAT -- 42\ttimes"));
  EXPECT_EQ(words_of("ÀÉ Straße"), words_of("àé straße"));
  EXPECT_EQ(words_of("don't").size(), 2U);
  EXPECT_EQ(words_of("").size(), 0U);
  EXPECT_EQ(words_of(" .,;: — … ").size(), 0U);
  EXPECT_NE(words_of("ab c"), words_of("a bc"));
}

TEST(HashWords, IdeographsAreWordsAndMarksBelongToTheirs) {
  EXPECT_EQ(words_of("日本語").size(), 3U);
  EXPECT_EQ(words_of("a日b").size(), 3U);
  EXPECT_EQ(words_of("e\xCC\x81t").size(), 1U);  // e, combining acute, t
}

TEST(HashWords, InvalidBytesSeparate) {
  EXPECT_EQ(words_of("ab\xFF"
                     "cd"),
            words_of("ab cd"));
}

TEST(ForEachRun, RollsOverTheWords) {
  util::RandomStream random(test::test_seed());
  std::vector<uint64_t> words(50);
  for (uint64_t& word : words) {
    word = random.below(4);
  }
  const auto rolled = runs_of(words, 5);
  ASSERT_EQ(rolled.size(), 46U);
  for (size_t i = 0; i < rolled.size(); ++i) {
    EXPECT_EQ(rolled[i], runs_of({words.begin() + static_cast<std::ptrdiff_t>(i),
                                  words.begin() + static_cast<std::ptrdiff_t>(i) + 5},
                                 5)[0])
        << i;
  }
  std::set<std::vector<uint64_t>> distinct;
  for (size_t i = 0; i < rolled.size(); ++i) {
    distinct.insert(
        {words.begin() + static_cast<std::ptrdiff_t>(i), words.begin() + static_cast<std::ptrdiff_t>(i) + 5});
  }
  EXPECT_EQ(std::set<uint64_t>(rolled.begin(), rolled.end()).size(), distinct.size());
}

TEST(ForEachRun, AShortTextIsOneRun) {
  EXPECT_EQ(runs_of({1, 2}, 5).size(), 1U);
  EXPECT_NE(runs_of({1, 2}, 5), runs_of({2, 1}, 5));
  EXPECT_TRUE(runs_of({}, 5).empty());
}

}  // namespace
}  // namespace bertcram::data
