// A task's texts as token ids, and the classifier's outputs for them, as many at a time as find memory.

#include "bertcram/train/task_runner.h"

#include <gtest/gtest.h>

#include <new>

#include "bertcram/model/parameter_specs.h"
#include "bertcram/util/error.h"
#include "data/packing_support.h"
#include "util/log_file.h"
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

const model::EncoderShape kTiny = {.vocab = 300, .hidden = 8, .layers = 1, .heads = 1, .ffn = 8, .max_positions = 16};

/// Says of every text its second token; finds memory for `fits` texts at a time, and remembers how many it was given.
class SecondToken : public model::Encoder {
 public:
  SecondToken(const nn::Parameters& parameters, int64_t fits) : Encoder(kTiny, parameters, ""), fits_(fits) {}
  at::Tensor classify(const model::EncoderInput& input, const model::EncodeOptions&) const override {
    tried.push_back(input.ids.size(0));
    if (input.ids.size(0) > fits_) {
      throw std::bad_alloc();
    }
    return input.ids.narrow(1, 1, 1).to(at::kFloat);
  }
  at::Tensor classify_tokens(const at::Tensor&, const nn::Dropout&) const override { return {}; }

  mutable std::vector<int64_t> tried;

 protected:
  at::Tensor embed(const model::EncoderInput&, const model::LayerInput&, const nn::Dropout&) const override {
    return {};
  }
  at::Tensor run_layer(size_t, const at::Tensor&, const model::LayerInput&, const at::Tensor&,
                       const nn::Dropout&) const override {
    return {};
  }
  at::Tensor finish(const at::Tensor&) const override { return {}; }
  at::Tensor transform(const at::Tensor&) const override { return {}; }

 private:
  int64_t fits_;
};

class ClassifierOutputs : public ::testing::Test {
 protected:
  ClassifierOutputs() {
    for (int32_t i = 0; i < 100; ++i) {  // the later the longer
      EncodedText text = {.ids = {2, 100 + i}, .first_segment = 3 + i / 10};
      text.ids.resize(static_cast<size_t>(text.first_segment), 3);
      split_.texts.push_back(text);
      split_.lengths.push_back(text.first_segment);
    }
  }

  nn::Parameters parameters_{model::parameter_specs(kTiny, {}), at::kFloat, at::kCPU};
  EncodedSplit split_;
  util::StopFlag stop_;
};

TEST_F(ClassifierOutputs, WithoutMemoryAreComputedInSmallerPassesFromThereOn) {
  const test::LogFile log;
  const SecondToken encoder(parameters_, /*fits=*/20);
  int64_t texts_per_pass = kTextsPerPass;
  std::vector<float> expected;
  for (int i = 0; i < 100; ++i) {
    expected.push_back(static_cast<float>(100 + i));
  }
  EXPECT_EQ(classifier_outputs(encoder, parameters_, split_, texts_per_pass, stop_), expected);
  EXPECT_EQ(encoder.tried, (std::vector<int64_t>{64, 32, 16, 16, 16, 16, 16, 16, 4}));
  EXPECT_EQ(texts_per_pass, 16);
  encoder.tried.clear();
  EXPECT_EQ(classifier_outputs(encoder, parameters_, split_, texts_per_pass, stop_), expected);
  EXPECT_EQ(encoder.tried, (std::vector<int64_t>{16, 16, 16, 16, 16, 16, 4}));
  EXPECT_EQ(log.count_of("out of memory at the scores of 100 texts: going on with 16 at a time"), 1U) << log.text();
  EXPECT_EQ(log.count_of("out of memory"), 1U) << log.text();
}

TEST_F(ClassifierOutputs, WithoutMemoryForASingleTextAreNone) {
  int64_t texts_per_pass = kTextsPerPass;
  EXPECT_THROW(classifier_outputs(SecondToken(parameters_, 0), parameters_, split_, texts_per_pass, stop_),
               std::bad_alloc);
}

}  // namespace
}  // namespace bertcram::train
