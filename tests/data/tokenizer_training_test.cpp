#include "bertcram/data/tokenizer_training.h"

#include <gtest/gtest.h>

#include "bertcram/util/error.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::message_of;
using test::ScratchDirectory;

config::TokenizeConfig config_of(const std::filesystem::path& text, const std::filesystem::path& output) {
  config::TokenizeConfig config;
  config.input = {text.string()};
  config.output = output.string();
  config.vocab_size = 60;
  return config;
}

TokenizeResult run(const config::TokenizeConfig& config) {
  const util::StopFlag stop;
  return run_tokenize(config, {.stop = stop, .progress = util::ProgressStyle::kQuiet});
}

TEST(TokenizerTraining, MoreWordsThanAThreadOnceHeldGiveTheSameVocabularyOnAnyNumberOfThreads) {
  // With nine threads each dropped the rarest of more than 500,000 words; a document goes to one of them.
  const ScratchDirectory scratch;
  std::string document;
  for (int number = 1'000'000; number < 1'600'000; ++number) {
    document += std::to_string(number) + " ";
  }
  const auto text = scratch.write("numbers.txt", document + "\n");
  config::TokenizeConfig config = config_of(text, scratch / "one");
  config.threads = 1;
  const TokenizeResult one = run(config);
  EXPECT_EQ(one.words, 600'000);
  config.output = (scratch / "nine").string();
  config.threads = 9;
  const TokenizeResult nine = run(config);
  EXPECT_EQ(nine.words, 600'000);
  EXPECT_EQ(nine.fingerprint, one.fingerprint);
}

TEST(TokenizerTraining, StopsWithTheCodeOfTheSignalAndWritesNoTokenizer) {
  const ScratchDirectory scratch;
  const auto text = scratch.write("text.txt", "some words and some more words\n");
  util::StopFlag stop;
  stop.request(15);
  const config::TokenizeConfig config = config_of(text, scratch / "tok");
  const auto message = message_of<util::StoppedError>(
      [&] { run_tokenize(config, {.stop = stop, .progress = util::ProgressStyle::kQuiet}); });
  EXPECT_EQ(message, "tokenize: stopped; nothing was written");
  EXPECT_FALSE(std::filesystem::exists(scratch / "tok/vocab.txt"));
}

// Found by review: "already holds another tokenizer", with the advice to replace it.
TEST(TokenizerTraining, AnInputThatCannotBeReadIsNamedAndIsNoOtherText) {
  const ScratchDirectory scratch;
  const auto text = scratch.write("text.txt", "some words and some more words\n");
  config::TokenizeConfig config = config_of(text, scratch / "tok");
  config.vocab_size = 24;
  const TokenizeResult first = run(config);
  std::filesystem::permissions(text, std::filesystem::perms::none);
  {
    const test::OrdinaryUser user(scratch);
    const std::string message = message_of<UnreadableError>([&] { run(config); });
    EXPECT_TRUE(test::contains(message, "text.txt: Permission denied")) << message;
  }
  std::filesystem::permissions(text, std::filesystem::perms::owner_all);
  EXPECT_EQ(run(config).fingerprint, first.fingerprint);
}

}  // namespace
}  // namespace bertcram::data
