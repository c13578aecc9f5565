// Tensor functions against their formulas, written out.

#include "bertcram/nn/functional.h"

#include <cmath>

#include "bertcram/util/error.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

/// softmax(q kᵀ / sqrt(head_dim) + bias) v, head by head. @param qkv [batch, seq, 3 * hidden]
at::Tensor explicit_attention(const at::Tensor& qkv, const at::Tensor& key_bias, int64_t heads) {
  const int64_t hidden = qkv.size(2) / 3;
  const int64_t dim = hidden / heads;
  std::vector<at::Tensor> mixed;
  for (int64_t head = 0; head < heads; ++head) {
    const at::Tensor q = qkv.narrow(2, head * dim, dim);
    const at::Tensor k = qkv.narrow(2, hidden + head * dim, dim);
    const at::Tensor v = qkv.narrow(2, 2 * hidden + head * dim, dim);
    at::Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(dim));  // [batch, seq, seq]
    if (key_bias.defined()) {
      scores = scores + key_bias.squeeze(1);
    }
    mixed.push_back(at::matmul(at::softmax(scores, -1), v));
  }
  return at::cat(mixed, 2);
}

TEST(AttentionProperty, EqualsTheExplicitFormula) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (const int64_t heads : {1, 2, 4}) {
    const at::Tensor qkv = random_tensor(random, {3, 7, 3 * 8}, 2.0);
    EXPECT_TRUE(near(attention(qkv, {}, {.heads = heads}), explicit_attention(qkv, {}, heads), 1e-12)) << heads;
    EXPECT_TRUE(near(attention(qkv.to(at::kFloat), {}, {.heads = heads}), explicit_attention(qkv, {}, heads), 1e-5));
    EXPECT_TRUE(near(attention(qkv.to(at::kBFloat16), {}, {.heads = heads}), explicit_attention(qkv, {}, heads), 5e-2));
  }
}

TEST(AttentionProperty, GradientsEqualThoseOfTheExplicitFormula) {
  util::RandomStream random(test::test_seed());
  const at::Tensor values = random_tensor(random, {2, 5, 3 * 4});
  const at::Tensor weights = random_tensor(random, {2, 5, 4});
  const at::Tensor fused = test::leaf_of(values, at::kDouble);
  const at::Tensor plain = test::leaf_of(values, at::kDouble);
  (attention(fused, {}, {.heads = 2}) * weights).sum().backward();
  (explicit_attention(plain, {}, 2) * weights).sum().backward();
  EXPECT_TRUE(near(fused.grad(), plain.grad(), 1e-12));
}

TEST(AttentionProperty, PaddedRowsEqualThoseRowsAlone) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const std::vector<int64_t> lengths = {6, 1, 4, 5};
  const at::Tensor qkv = random_tensor(random, {4, 6, 3 * 8}, 2.0).to(at::kFloat);
  at::Tensor bias = at::zeros({4, 1, 1, 6});
  for (int64_t row = 0; row < 4; ++row) {
    bias[row]
        .narrow(2, lengths[static_cast<size_t>(row)], 6 - lengths[static_cast<size_t>(row)])
        .fill_(-std::numeric_limits<double>::infinity());
  }
  const at::Tensor padded = attention(qkv, bias, {.heads = 2});
  EXPECT_TRUE(near(padded, explicit_attention(qkv, bias, 2), 1e-5));
  for (int64_t row = 0; row < 4; ++row) {
    const int64_t length = lengths[static_cast<size_t>(row)];
    const at::Tensor alone = attention(qkv.narrow(0, row, 1).narrow(1, 0, length).contiguous(), {}, {.heads = 2});
    EXPECT_TRUE(near(padded.narrow(0, row, 1).narrow(1, 0, length), alone, 1e-5)) << row;
  }
}

TEST(Functional, LinearByHand) {
  const at::Tensor x = at::tensor({1.0, 2.0}).view({1, 2});
  const at::Tensor weight = at::tensor({1.0, 0.0, 3.0, -1.0, 2.0, 2.0}).view({3, 2});
  EXPECT_TRUE(near(linear(x, weight, at::tensor({0.5, 0.0, -6.0})), at::tensor({1.5, 1.0, 0.0}).view({1, 3}), 0));
}

TEST(Functional, LayerNormByHand) {
  // mean 2, variance 2/3
  const at::Tensor x = at::tensor({1.0, 2.0, 3.0}, at::kDouble).view({1, 3});
  const double unit = 1 / std::sqrt(2.0 / 3 + 1e-5);
  const at::Tensor got =
      layer_norm(x, at::tensor({1.0, 1.0, 2.0}, at::kDouble), at::tensor({0.0, 1.0, 1.0}, at::kDouble), 1e-5);
  EXPECT_TRUE(near(got, at::tensor({-unit, 1.0, 1 + 2 * unit}, at::kDouble).view({1, 3}), 1e-12));
}

TEST(Functional, GeluUsesTheErrorFunction) {
  for (const double x : {-3.0, -0.5, 0.0, 0.7, 2.0}) {
    const double expected = 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    EXPECT_NEAR(nn::gelu(at::tensor({x}, at::kDouble)).item<double>(), expected, 1e-12);
  }
}

TEST(Functional, DropoutIsTheIdentityAtZeroAndKeepsTheMean) {
  const at::Tensor x = at::ones({100'000});
  EXPECT_TRUE(dropout(x, 0.0).is_same(x));
  at::manual_seed(1);
  const at::Tensor dropped = dropout(x, 0.25);
  EXPECT_NEAR((dropped == 0).to(at::kDouble).mean().item<double>(), 0.25, 0.01);
  EXPECT_NEAR(dropped.mean().item<double>(), 1.0, 0.02);
}

TEST(Functional, WrongShapesAreShapeErrors) {
  EXPECT_THROW(linear(at::zeros({2, 3}), at::zeros({4, 2}), at::zeros({4})), ShapeError);
  EXPECT_THROW(linear(at::zeros({2, 3}), at::zeros({3}), at::zeros({4})), ShapeError);
  EXPECT_THROW(linear(at::zeros({2, 3}), at::zeros({4, 3}), at::zeros({3})), ShapeError);
  EXPECT_THROW(layer_norm(at::zeros({2, 3}), at::zeros({2}), at::zeros({3}), 1e-5), ShapeError);
  EXPECT_THROW(layer_norm(at::zeros({2, 3}), at::zeros({3}), at::zeros({2}), 1e-5), ShapeError);
  EXPECT_THROW(attention(at::zeros({2, 3, 10}), {}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(at::zeros({2, 12}), {}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(at::zeros({2, 3, 12}), at::zeros({2, 1, 1, 4}), {.heads = 2}), ShapeError);
}

}  // namespace
}  // namespace bertcram::nn
