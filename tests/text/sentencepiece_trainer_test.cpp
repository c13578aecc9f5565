// Models that SentencePiece trains for us, and its ids on them beside ours.

#include "bertcram/text/sentencepiece_trainer.h"

#include <gtest/gtest.h>

#include "bertcram/text/sentencepiece_tokenizer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "spm_test_support.h"
#include "text_test_support.h"

namespace bertcram::text {
namespace {

/// Text with words that recur, as training needs it.
std::vector<std::string> random_lines(uint64_t seed, int count) {
  util::RandomStream rng(seed);
  std::vector<std::string> words;
  for (int i = 0; i < 120; ++i) {
    words.push_back(random_word(rng, 9, 12));
  }
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) {
    std::string line;
    for (uint64_t left = 1 + rng.below(12); left > 0; --left) {
      line += rng.below(8) == 0 ? "Hhhhh-" + random_word(rng, 6, 3) : words[rng.below(words.size())];
      line += rng.below(9) == 0 ? ",  " : " ";
    }
    lines.push_back(line);
  }
  return lines;
}

std::string train_on(const std::vector<std::string>& lines, SentencePieceTrainOptions options) {
  size_t next = 0;
  return train_sentencepiece([&] { return next < lines.size() ? &lines[next++] : nullptr; }, options);
}

TEST(SubwordTokenizer, GivesTheIdsOfTheLibraryOnItsModels) {
  const auto lines = random_lines(3, 400);
  for (const SubwordModel kind : {SubwordModel::kUnigram, SubwordModel::kBpe}) {
    const std::string bytes = train_on(lines, {.model = kind, .vocab_size = 200});
    const SentencePieceTokenizer library(bytes, "x.model");
    const auto ours = make_subword_tokenizer(bytes, "x.model");
    int different = 0;
    for (const std::string& line : random_lines(4, 600)) {
      different += ids_of(*ours, line) != ids_of(library, line) ? 1 : 0;
    }
    // Scores of equal sums are added in float32 there and in float64 here.
    EXPECT_LE(different, kind == SubwordModel::kUnigram ? 6 : 0);
    EXPECT_EQ(ours->vocab_size(), 200);
    EXPECT_EQ(ours->special(), (SpecialTokens{.pad = 0, .unk = 1, .cls = 2, .sep = 3, .mask = 4}));
  }
}

TEST(SentencePieceTrainer, GivesTheSameModelEachTime) {
  const auto lines = random_lines(7, 200);
  for (const SubwordModel kind : {SubwordModel::kUnigram, SubwordModel::kBpe}) {
    EXPECT_EQ(train_on(lines, {.model = kind, .vocab_size = 150}), train_on(lines, {.model = kind, .vocab_size = 150}));
  }
}

TEST(SentencePieceTrainer, KeepsCaseOnlyWhenAskedTo) {
  const auto lines = random_lines(7, 200);
  const auto uncased = make_subword_tokenizer(train_on(lines, {.vocab_size = 150}), "x");
  EXPECT_EQ(ids_of(*uncased, "HHH Ab"), ids_of(*uncased, "hhh ab"));
  const auto cased = make_subword_tokenizer(train_on(lines, {.vocab_size = 150, .casing = Casing::kCased}), "x");
  EXPECT_NE(ids_of(*cased, "Hhhhh"), ids_of(*cased, "hhhhh"));
}

TEST(SentencePieceTrainer, SaysWhichVocabularySizesAreThere) {
  const auto lines = random_lines(7, 50);
  for (const SubwordModel kind : {SubwordModel::kUnigram, SubwordModel::kBpe}) {
    const auto message = [&](int64_t size) {
      return message_of<ConfigError>([&] { train_on(lines, {.model = kind, .vocab_size = size}); });
    };
    EXPECT_NE(message(50'000).find("gives only "), std::string::npos) << message(50'000);
    EXPECT_NE(message(50'000).find("--vocab-size"), std::string::npos);
    EXPECT_NE(message(10).find("special tokens and characters"), std::string::npos) << message(10);
  }
  EXPECT_THROW(train_on({}, {.vocab_size = 100}), DataError);
}

}  // namespace
}  // namespace bertcram::text
