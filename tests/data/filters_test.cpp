// Rules that judge a document by itself.

#include "data/filters.h"

#include <gtest/gtest.h>

#include "data/word_runs.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::ScratchDirectory;

std::vector<uint64_t> words_of(std::string_view text) {
  std::vector<uint64_t> words;
  hash_words(text, words);
  return words;
}

const util::StopFlag kNoStop;

constexpr const char* kEvaluation = "one two three four five six seven eight nine ten eleven twelve thirteen";

TEST(SymbolShare, CountsWhatIsNeitherLetterMarkNorDigit) {
  EXPECT_EQ(symbol_share("abc 12"), 0.0);
  EXPECT_EQ(symbol_share("a { } b"), 0.5);
  EXPECT_EQ(symbol_share("日本 ★ é\xCC\x81"), 0.2);
  EXPECT_EQ(symbol_share(" \n"), 0.0);
  EXPECT_EQ(symbol_share("\xFF"), 1.0);
}

TEST(RepetitionShare, CountsRunsSeenBefore) {
  EXPECT_EQ(repetition_share(words_of("a b c d e f g h i j")), 0.0);
  EXPECT_EQ(repetition_share(words_of("a b c d e")), 0.0);
  // Runs: abcde bcdea cdeab deabc eabcd abcde: the last one of six.
  EXPECT_DOUBLE_EQ(repetition_share(words_of("a b c d e a b c d e")), 1.0 / 6);
  EXPECT_DOUBLE_EQ(repetition_share(words_of("x x x x x x x x")), 3.0 / 4);
}

class ContaminationTest : public ::testing::Test {
 protected:
  bool is_in(const std::string& file, const std::string& text) {
    const auto path = scratch_.write("evaluation", file);
    return Contamination({path.string()}, kNoStop).is_in(words_of(text));
  }
  ScratchDirectory scratch_;
};

TEST_F(ContaminationTest, FindsThirteenSharedWordsAnywhere) {
  const std::string text =
      std::string("Before it: One, two THREE four five six seven eight nine ten eleven twelve ") + "thirteen, and more";
  EXPECT_TRUE(is_in(std::string("0\t") + kEvaluation + "\tlabel\n", text));
  EXPECT_TRUE(is_in(std::string("x ") + kEvaluation + " y\n", text));
  EXPECT_TRUE(is_in(std::string(R"({"id": 3, "nested": {"text": ["a", ")") + kEvaluation + "\"]}}\n", text));
}

TEST_F(ContaminationTest, TwelveWordsAreChance) {
  EXPECT_FALSE(
      is_in(std::string(kEvaluation) + "\n", "one two three four five six seven eight nine ten eleven twelve"));
  EXPECT_FALSE(is_in("one two three four five six seven eight nine ten eleven twelve\n", kEvaluation));
  EXPECT_FALSE(is_in(std::string(kEvaluation) + "\n",
                     "one two three four five six seven NOT eight nine ten eleven twelve thirteen"));
}

TEST_F(ContaminationTest, FieldsAreNotReadOn) {
  EXPECT_FALSE(is_in("one two three four five six seven\teight nine ten eleven twelve thirteen\n", kEvaluation));
}

TEST_F(ContaminationTest, AMissingFileIsRefused) {
  EXPECT_THROW(Contamination({(scratch_ / "absent").string()}, kNoStop), DataError);
}

TEST_F(ContaminationTest, AStopEndsTheReading) {
  util::StopFlag stop;
  stop.request(15);
  const auto path = scratch_.write("evaluation", "text\n");
  EXPECT_THROW(Contamination({path.string()}, stop), util::StoppedError);
}

class DocumentFiltersTest : public ::testing::Test {
 protected:
  Verdict judge(std::string_view text) const {
    std::vector<uint64_t> words;
    return DocumentFilters(config_, kNoStop).judge(text, words);
  }
  config::FilterConfig config_;
};

TEST_F(DocumentFiltersTest, KeepEverythingByDefault) {
  for (const char* text : {"", "a", "{}{}{}", "x x x x x x x x x x"}) {
    EXPECT_EQ(judge(text), Verdict::kKeep) << text;
  }
  EXPECT_FALSE(DocumentFilters(config_, kNoStop).needs_words());
}

TEST_F(DocumentFiltersTest, NameTheRuleThatWasBroken) {
  config_.min_chars = 4;
  config_.max_symbols = 0.4;
  config_.max_repetition = 0.5;
  EXPECT_EQ(judge("日本語"), Verdict::kShort);
  EXPECT_EQ(judge("日本語文"), Verdict::kKeep);
  EXPECT_EQ(judge("ab {}"), Verdict::kSymbols);
  EXPECT_EQ(judge("abc {}"), Verdict::kKeep);  // exactly the limit
  EXPECT_EQ(judge("x x x x x x x x"), Verdict::kRepetition);
}

TEST_F(DocumentFiltersTest, CompressibilityCountsCharactersNotBytes) {
  config_.max_tokens_per_char = 0.25;
  const DocumentFilters filters(config_, kNoStop);
  EXPECT_EQ(filters.judge_tokens("日本語文日本語文", 1), Verdict::kKeep);
  EXPECT_EQ(filters.judge_tokens("日本語文日本語文", 2), Verdict::kIncompressible);
  EXPECT_EQ(filters.judge_tokens("\u200B", 0), Verdict::kShort) << "no token is no document";
}

}  // namespace
}  // namespace bertcram::data
