#include "data/sentence_sample.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bertcram/text/tokenizer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "text/text_test_support.h"

namespace bertcram::data {
namespace {

using text::ScratchDirectory;

TEST(SentenceSample, KeepsEverythingThatFitsInOrder) {
  SentenceSample sample(100);
  sample.add("one");
  sample.add("two");
  EXPECT_EQ(sample.bytes(), 6);
  EXPECT_EQ(sample.take(), (std::vector<std::string>{"one", "two"}));
}

TEST(SentenceSample, IsBoundedAndDrawnFromTheWholeText) {
  SentenceSample sample(3000);
  for (int i = 10'000; i < 20'000; ++i) {
    sample.add(std::to_string(i));
  }
  EXPECT_LE(sample.bytes(), 3000);
  EXPECT_GT(sample.bytes(), 2900);
  const auto kept = sample.take();
  EXPECT_TRUE(std::ranges::is_sorted(kept)) << "in the order of the text";
  int first_half = 0;
  for (const std::string& text : kept) {
    first_half += text < "15000" ? 1 : 0;
  }
  EXPECT_NEAR(first_half, 300, 60);
}

TEST(SentenceSample, CutsLongLinesAtSpacesOrCharacters) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(cut_line("abc def ghi", 100), (Parts{"abc def ghi"}));
  EXPECT_EQ(cut_line("abc def ghi", 8), (Parts{"abc def", " ghi"}));
  EXPECT_EQ(cut_line("ääää", 5), (Parts{"ää", "ää"}));
  EXPECT_EQ(cut_line("", 5), (Parts{}));
}

class SubwordTraining : public testing::TestWithParam<config::TokenizerType> {
 protected:
  SubwordTraining() {
    util::RandomStream rng(11);
    std::string content;
    for (int i = 0; i < 3000; ++i) {
      for (uint64_t left = 2 + rng.below(4); left > 0; --left) {
        content += static_cast<char>('a' + rng.below(9));
      }
      content += i % 10 == 9 ? "\n" : " ";
    }
    util::write_file_atomically(scratch_ / "text.txt", content);
    config_.input = {(scratch_ / "text.txt").string()};
    config_.output = (scratch_ / "tok").string();
    config_.type = GetParam();
    config_.vocab_size = 120;
    config_.sample_bytes = 10'000;
  }

  TokenizeResult run() {
    const util::StopFlag stop;
    return run_tokenize(config_, {.stop = stop, .progress = util::ProgressStyle::kQuiet});
  }

  ScratchDirectory scratch_;
  config::TokenizeConfig config_;
};

TEST_P(SubwordTraining, DoesNotDependOnThreadsAndKnowsItsResult) {
  config_.threads = 1;
  const auto first = run();
  EXPECT_EQ(first.vocab_size, 120);
  EXPECT_EQ(first.words, 3000);
  EXPECT_EQ(run().fingerprint, first.fingerprint) << "the folder holds it already";
  config_.threads = 3;
  config_.output = (scratch_ / "other").string();
  EXPECT_EQ(run().fingerprint, first.fingerprint);
  const auto loaded = text::load_tokenizer(scratch_ / "tok", std::nullopt);
  EXPECT_EQ(loaded->fingerprint(), first.fingerprint);
  EXPECT_EQ(loaded->special(), (text::SpecialTokens{.pad = 0, .unk = 1, .cls = 2, .sep = 3, .mask = 4}));
}

TEST_P(SubwordTraining, ReplacesATokenizerOfAnotherKind) {
  const auto type = config_.type;
  config_.type = config::TokenizerType::kWordPiece;
  run();
  config_.type = type;
  EXPECT_THROW(run(), ConfigError);
  config_.overwrite = true;
  run();
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "tok/vocab.txt"));
  EXPECT_TRUE(text::has_tokenizer_files(scratch_ / "tok"));
}

TEST_P(SubwordTraining, MakesADamagedOrIncompleteResultAgain) {
  for (const auto type : {GetParam(), config::TokenizerType::kWordPiece}) {
    config_.type = type;
    config_.output = (scratch_ / (type == GetParam() ? "tok" : "wordpiece")).string();
    const auto first = run();
    const std::filesystem::path folder = config_.output;
    const char* const vocabulary = type == GetParam() ? text::kSpmFile : text::kVocabFile;
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", vocabulary}) {
      const std::string whole = util::read_file(folder / name);
      std::filesystem::remove(folder / name);
      EXPECT_EQ(run().fingerprint, first.fingerprint);
      ASSERT_TRUE(std::filesystem::exists(folder / name)) << name;
      EXPECT_EQ(util::read_file(folder / name), whole) << name << " is missing";
      util::write_file_atomically(folder / name, whole.substr(0, whole.size() / 2));
      run();
      EXPECT_EQ(util::read_file(folder / name), whole) << name << " is cut";
    }
  }
}

TEST_P(SubwordTraining, RefusesAVocabularyThatTheTextDoesNotGive) {
  config_.vocab_size = 100'000;
  EXPECT_THROW(run(), ConfigError);
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "tok/manifest.json"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, SubwordTraining,
                         testing::Values(config::TokenizerType::kUnigram, config::TokenizerType::kBpe));

}  // namespace
}  // namespace bertcram::data
