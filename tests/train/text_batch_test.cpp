// Texts and pairs as padded batches.

#include "bertcram/train/text_batch.h"

#include <cmath>

#include "data/packing_support.h"
#include "nn/tensor_support.h"

namespace bertcram::train {
namespace {

using test::contains;
using test::message_of;
using Ids = std::vector<int32_t>;

constexpr int32_t kCls = 2;
constexpr int32_t kSep = 3;

/// One word of one letter is one token: "a" is 5, "b" is 7, and so on.
int32_t letter(char c) { return 5 + 2 * (c - 'a'); }

EncodedText encode(std::string_view a, std::optional<std::string_view> b, int64_t max_tokens, int64_t& truncated) {
  return encode_text(test::tiny_tokenizer(), a, b, max_tokens, truncated);
}

TEST(EncodeText, ASingleTextIsOneSegment) {
  int64_t truncated = 0;
  const EncodedText text = encode("a b", std::nullopt, 10, truncated);
  EXPECT_EQ(text.ids, (Ids{kCls, letter('a'), letter('b'), kSep}));
  EXPECT_EQ(text.first_segment, 4);
  EXPECT_EQ(truncated, 0);
}

TEST(EncodeText, APairIsTwo) {
  int64_t truncated = 0;
  const EncodedText text = encode("a b", "c", 6, truncated);
  EXPECT_EQ(text.ids, (Ids{kCls, letter('a'), letter('b'), kSep, letter('c'), kSep}));
  EXPECT_EQ(text.first_segment, 4);
  EXPECT_EQ(truncated, 0) << "six tokens fit into six";
}

// Found by review: it was one text, which classifiers of pairs never saw in fine-tuning.
TEST(EncodeText, APairWithAnEmptyTextIsAPair) {
  int64_t truncated = 0;
  const EncodedText second = encode("a b", "", 10, truncated);
  EXPECT_EQ(second.ids, (Ids{kCls, letter('a'), letter('b'), kSep, kSep}));
  EXPECT_EQ(second.first_segment, 4);
  const EncodedText first = encode("", "a", 10, truncated);
  EXPECT_EQ(first.ids, (Ids{kCls, kSep, letter('a'), kSep}));
  EXPECT_EQ(first.first_segment, 2);
  EXPECT_EQ(truncated, 0);
  EXPECT_EQ(encode("a b c", "", 5, truncated).ids, (Ids{kCls, letter('a'), letter('b'), kSep, kSep}));
  EXPECT_EQ(truncated, 1);
}

TEST(EncodeText, TheLongerTextIsCutFirstAndEveryCutTextCounts) {
  int64_t truncated = 0;
  EXPECT_EQ(encode("a b c d e", "x y", 8, truncated).ids,
            (Ids{kCls, letter('a'), letter('b'), letter('c'), kSep, letter('x'), letter('y'), kSep}));
  EXPECT_EQ(encode("a", "v w x y z", 6, truncated).ids, (Ids{kCls, letter('a'), kSep, letter('v'), letter('w'), kSep}));
  EXPECT_EQ(encode("a b c d", std::nullopt, 4, truncated).ids, (Ids{kCls, letter('a'), letter('b'), kSep}));
  EXPECT_EQ(truncated, 3);
}

TEST(EncodeText, BothAreCutWhenBothAreLong) {
  int64_t truncated = 0;
  const EncodedText text = encode("a b c d e f", "u v w x y z", 9, truncated);
  EXPECT_EQ(text.ids.size(), 9U);
  EXPECT_EQ(text.first_segment, 5);  // three tokens of each
  EXPECT_EQ(truncated, 1);
}

TEST(EncodeText, MustHaveRoomForText) {
  constexpr std::optional<std::string_view> kNone;
  int64_t truncated = 0;
  for (const auto& [second, fewest] : {std::pair(kNone, 3), std::pair(std::optional<std::string_view>("x"), 4)}) {
    EXPECT_EQ(std::ssize(encode("a b c", second, fewest, truncated).ids), fewest);
    EXPECT_TRUE(contains(message_of<ConfigError>([&] { encode("a", second, fewest - 1, truncated); }), "no room"));
  }
}

// As Hugging Face's tokenizers cut "longest first", with room for five.
TEST(EncodeText, OfAnOddRoomTheLongerHasMore) {
  const auto tokens_of_a = [](const std::string& a, const std::string& b) {
    int64_t truncated = 0;
    const EncodedText text = encode(a, b, 8, truncated);
    EXPECT_EQ(text.ids.size(), 8U);
    return text.first_segment - 2;
  };
  EXPECT_EQ(tokens_of_a("a b c d e", "u v w x"), 3);
  EXPECT_EQ(tokens_of_a("a b c d", "u v w x y"), 2);
  EXPECT_EQ(tokens_of_a("a b c d", "u v w x"), 2);
  EXPECT_EQ(tokens_of_a("a", "u v w x y"), 1);
  EXPECT_EQ(tokens_of_a("a b c d e f", "u"), 4);
}

TEST(PaddedBatch, PadsToTheLongestOfTheChosen) {
  const std::vector<EncodedText> texts = {{{kCls, 10, kSep}, 3}, {Ids(20, 9), 20}, {{kCls, 10, kSep, 11, kSep}, 3}};
  const std::vector<int64_t> chosen = {2, 0};
  const auto batch = padded_batch(texts, chosen, /*pad_id=*/1, at::kBFloat16, at::kCPU);
  EXPECT_TRUE(test::near(batch.ids, at::tensor({2, 10, 3, 11, 3, 2, 10, 3, 1, 1}).view({2, 5}), 0));
  EXPECT_TRUE(test::near(batch.token_types, at::tensor({0, 0, 0, 1, 1, 0, 0, 0, 0, 0}).view({2, 5}), 0));
  ASSERT_TRUE(batch.key_bias.defined());
  EXPECT_EQ(batch.key_bias.sizes(), (std::vector<int64_t>{2, 1, 1, 5}));
  EXPECT_EQ(batch.key_bias.scalar_type(), at::kBFloat16);
  const at::Tensor is_padding = batch.key_bias.view({2, 5}).to(at::kFloat) == -INFINITY;
  EXPECT_TRUE(test::near(is_padding.to(at::kInt), at::tensor({0, 0, 0, 0, 0, 0, 0, 0, 1, 1}).view({2, 5}), 0));
  EXPECT_EQ(batch.key_bias.view({2, 5})[1][2].item<double>(), 0.0);
}

TEST(PaddedBatch, OfEqualLengthsHasNoBias) {
  const std::vector<EncodedText> texts = {{{kCls, 10, kSep}, 3}, {{kCls, 11, kSep}, 3}};
  const std::vector<int64_t> chosen = {0, 1, 0};
  const auto batch = padded_batch(texts, chosen, 0, at::kFloat, at::kCPU);
  EXPECT_EQ(batch.ids.sizes(), (std::vector<int64_t>{3, 3}));
  EXPECT_FALSE(batch.key_bias.defined());
}

}  // namespace
}  // namespace bertcram::train
