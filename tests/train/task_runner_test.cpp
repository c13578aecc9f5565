// A task's examples as token ids, and how long they may be.

#include "bertcram/train/task_runner.h"

#include "bertcram/util/error.h"
#include "data/packing_support.h"
#include "util/test_support.h"

namespace bertcram::train {
namespace {

using test::contains;
using test::message_of;

// Found by review: classifiers that others made were cut at 128 tokens, those of a protocol they know nothing of.
TEST(TrainedTokens, WhereTheyAreNotKnownAreAllThatTheModelTakes) {
  const model::EncoderShape shape = {.max_positions = 512};
  EXPECT_EQ(trained_tokens({.max_tokens = 64}, shape), 64);
  EXPECT_EQ(trained_tokens({}, shape), 512);
  EXPECT_EQ(text_limit(shape, glue::find_task("sst2"), trained_tokens({}, shape)), 512);
}

TEST(TextLimit, OfAModelWithTooFewPositionsIsRefused) {
  const model::EncoderShape shape = {.max_positions = model::kFewestTaskTokens - 1};
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { text_limit(shape, glue::find_task("sst2"), trained_tokens({}, shape)); }),
               "takes only 7"));
}

TEST(EncodeSplit, AnEmptySecondTextOfATestSetIsOneOfAPair) {
  glue::Dataset dataset;
  dataset.examples = {{.text_a = "a b", .text_b = "c"}, {.text_a = "a b", .text_b = ""}, {.text_a = "a b"}};
  const EncodedSplit split = encode_split(std::move(dataset), "rte", test::tiny_tokenizer(), 16);
  EXPECT_EQ(split.lengths, (std::vector<int64_t>{6, 5, 4}));
}

}  // namespace
}  // namespace bertcram::train
