// Shapes of models and their arithmetic.

#include "bertcram/model/shape.h"

#include <gtest/gtest.h>

namespace bertcram::model {
namespace {

// 6 * 12 * (4 * 768² + 2 * 768 * 3072) = 509,607,936 of the layers, 6 * 0.15 * (32768 * 768 + 768²) = 23,180,083.2 of
// the decoder and its transform, 12 * 12 * 128 * 768 = 14,155,776 of the attention scores and sums. What the last layer does
// for wanted tokens only is 6 * (768² + 2 * 768 * 3072) = 31,850,496.
TEST(FlopsPerToken, ByHandForBertBase) {
  EXPECT_NEAR(flops_per_token({.vocab = 32768}, 128, {.decoded = 0.15}), 546'943'795.2, 1);
  EXPECT_NEAR(flops_per_token({.vocab = 32768}, 128, {}), 509'607'936 + 14'155'776, 1);
  EXPECT_NEAR(flops_per_token({.vocab = 32768}, 128, {.states = 0.25}), 509'607'936 + 14'155'776 - 0.75 * 31'850'496,
              1);
}

// A gated layer has three matrices: 6 * 2 * (4 * 8² + 3 * 8 * 10) = 5952; attention 12 * 2 * 100 * 8 = 19200.
TEST(FlopsPerToken, ByHandForAGatedEncoder) {
  EncoderShape shape = {.arch = config::Arch::kModern, .vocab = 50, .hidden = 8, .layers = 2, .heads = 2, .ffn = 10};
  EXPECT_NEAR(flops_per_token(shape, 100, {}), 5952 + 19200, 1e-6);
  shape.global_every = 2;  // one layer of two sees 21 tokens
  shape.local_attention = 20;
  EXPECT_NEAR(flops_per_token(shape, 100, {}), 5952 + 12 * (100 + 21) * 8, 1e-6);
}

TEST(MakeShape, TakesTheConfiguredSizes) {
  const config::ModelConfig config{.hidden = 64, .layers = 2, .heads = 4, .ffn = 128, .max_positions = 32};
  const EncoderShape shape = make_shape(config, 500, 3);
  EXPECT_EQ(shape.vocab, 500);
  EXPECT_EQ(shape.hidden, 64);
  EXPECT_EQ(shape.ffn, 128);
  EXPECT_EQ(shape.max_positions, 32);
  EXPECT_EQ(shape.pad_id, 3);
  EXPECT_EQ(shape.token_types, 2);
}

TEST(MakeShape, OfAModernEncoderIsWhatItsFolderSays) {
  const config::ModelConfig config{.arch = config::Arch::kModern, .layers = 2, .max_positions = 32};
  const EncoderShape shape = make_shape(config, 500, 3);
  EXPECT_EQ(shape.token_types, 1) << "config.json has none, and is read so";
}

}  // namespace
}  // namespace bertcram::model
