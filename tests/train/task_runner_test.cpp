// The classifier's outputs for texts in passes, as many at a time as find memory.

#include "bertcram/train/task_runner.h"

#include <gtest/gtest.h>

#include <new>

#include "bertcram/model/parameter_specs.h"
#include "util/log_file.h"

namespace bertcram::train {
namespace {

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
