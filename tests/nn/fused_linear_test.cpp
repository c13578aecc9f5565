// The linear map by own kernels against fp64, and where its gradients go.

#include "nn/fused_linear.h"

#include <array>
#include <vector>

#include "bertcram/nn/functional.h"
#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "nn/kernel_support.h"
#include "nn/kernels/linear_bf16.h"
#include "nn/packed_weight.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

using FusedLinearTest = test::WithBf16Kernels;

using FusedLinearProperty = FusedLinearTest;

double largest(const at::Tensor& values) { return values.abs().max().item<double>(); }

// Tokens around the tiles of 6 rows and the blocks of 1,024; widths around panels of 64; and more outputs than one block sums.
TEST_F(FusedLinearProperty, EqualsFp64WithinBf16) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (const auto& [tokens, in, out] : std::vector<std::array<int64_t, 3>>{{32, 32, 32},
                                                                           {33, 64, 96},
                                                                           {101, 160, 64},
                                                                           {1023, 32, 64},
                                                                           {1061, 96, 32},
                                                                           {2100, 64, 64},
                                                                           {35, 64, 4160}}) {
    for (const bool has_bias : {true, false}) {
      SCOPED_TRACE(cat(tokens, " tokens, ", in, " to ", out, has_bias ? ", bias" : ""));
      const at::Tensor x = random_tensor(random, {tokens, in}).to(at::kBFloat16);
      const at::Tensor weight = random_tensor(random, {out, in}).to(at::kBFloat16);
      const at::Tensor bias = random_tensor(random, {out}).to(at::kBFloat16);
      const at::Tensor direction = random_tensor(random, {tokens, out}).to(at::kBFloat16);
      const auto run = [&](at::ScalarType type) {
        std::array<at::Tensor, 3> leaves = {test::leaf_of(x, type), test::leaf_of(weight, type),
                                            test::leaf_of(bias, type)};
        const at::Tensor y = linear(leaves[0], leaves[1], has_bias ? leaves[2] : at::Tensor());
        y.backward(direction.to(type));
        return std::pair(y.detach(), leaves);
      };
      ASSERT_TRUE(can_fuse_linear(x, weight, has_bias ? bias : at::Tensor()));
      const auto [y, fused] = run(at::kBFloat16);
      const auto [exact, plain] = run(at::kDouble);
      constexpr double kBf16 = 1.0 / 256;  // what rounding a number to bf16 can cost, twice over
      EXPECT_TRUE(near(y, exact, kBf16 * largest(exact)));
      EXPECT_TRUE(near(fused[0].grad(), plain[0].grad(), kBf16 * largest(plain[0].grad())));
      EXPECT_TRUE(near(fused[1].grad(), plain[1].grad(), kBf16 * largest(plain[1].grad())));
      if (has_bias) {
        EXPECT_TRUE(near(fused[2].grad(), plain[2].grad(), kBf16 * largest(plain[2].grad())));
      }
    }
  }
}

TEST_F(FusedLinearProperty, GradientsOfWeightsAreSummedInFp32WhereTheLeavesHaveThem) {
  util::RandomStream random(test::test_seed());
  const at::Tensor x = random_tensor(random, {70, 64}).to(at::kBFloat16);
  const at::Tensor weight = test::leaf_of(random_tensor(random, {32, 64}), at::kBFloat16);
  const at::Tensor bias = test::leaf_of(random_tensor(random, {32}), at::kBFloat16);
  weight.mutable_grad() = at::zeros({32, 64}, at::kFloat);
  bias.mutable_grad() = at::zeros({32}, at::kFloat);
  const at::Tensor sums = weight.grad();
  at::Tensor expected = at::zeros({32, 64}, at::kDouble);
  at::Tensor expected_bias = at::zeros({32}, at::kDouble);
  for (int pass = 0; pass < 3; ++pass) {
    const at::Tensor direction = random_tensor(random, {70, 32}).to(at::kBFloat16);
    linear(test::leaf_of(x, at::kBFloat16), weight, bias).backward(direction);
    expected += direction.to(at::kDouble).t().mm(x.to(at::kDouble));
    expected_bias += direction.to(at::kDouble).sum(0);
  }
  EXPECT_TRUE(weight.grad().is_same(sums)) << "added in place";
  EXPECT_TRUE(near(sums, expected, 1e-4)) << "far below what bf16 could hold";
  EXPECT_TRUE(near(bias.grad(), expected_bias, 1e-4));
}

// What is packed of a weight is kept: it has to be forgotten whenever the weight is another.
TEST_F(FusedLinearTest, AChangedWeightIsPackedAgain) {
  util::RandomStream random(test::test_seed());
  const at::Tensor x = test::leaf_of(random_tensor(random, {40, 64}), at::kBFloat16);
  const auto expect_exact = [&](const at::Tensor& weight) {
    const at::Tensor exact = x.to(at::kDouble).mm(weight.to(at::kDouble).t());
    x.mutable_grad() = at::Tensor();
    const at::Tensor y = nn::linear(x, weight, at::Tensor());
    EXPECT_TRUE(near(y, exact, 0.05));
    y.sum().backward();
    EXPECT_TRUE(near(x.grad()[7], weight.to(at::kDouble).sum(0), 0.1));
  };
  for (int again = 0; again < 20; ++again) {  // memory of a weight that is gone is used again
    at::Tensor weight = random_tensor(random, {32, 64}).to(at::kBFloat16);
    expect_exact(weight);
    weight.copy_(random_tensor(random, {32, 64}));
    expect_exact(weight);
    expect_exact(weight);
  }
}

TEST_F(FusedLinearTest, AnUnchangedWeightIsPackedOnce) {
  const at::Tensor weight = at::ones({32, 64}, at::kBFloat16);
  const at::Tensor packed = packed_weight(weight, Packing::kForProduct);
  EXPECT_TRUE(packed.is_same(packed_weight(weight.view({32, 64}), Packing::kForProduct)));
  EXPECT_FALSE(packed.is_same(packed_weight(weight, Packing::kForInputGradient)));
  weight.mul_(2);
  EXPECT_FALSE(packed.is_same(packed_weight(weight, Packing::kForProduct)));
}

TEST_F(FusedLinearTest, ShapesThatDoNotFitAreLeftToLibTorch) {
  const auto fuses = [](at::IntArrayRef x, at::IntArrayRef weight, at::ScalarType type) {
    return can_fuse_linear(at::zeros(x, type), at::zeros(weight, type), {});
  };
  EXPECT_TRUE(fuses({4, 8, 64}, {32, 64}, at::kBFloat16));
  EXPECT_FALSE(fuses({4, 8, 64}, {32, 64}, at::kFloat));
  EXPECT_FALSE(fuses({4, 8, 64}, {30, 64}, at::kBFloat16));
  EXPECT_FALSE(fuses({4, 8, 48}, {32, 48}, at::kBFloat16));
  EXPECT_FALSE(fuses({3, 64}, {32, 64}, at::kBFloat16)) << "too few tokens";
  set_fusing(Fusing::kOff);
  EXPECT_FALSE(fuses({4, 8, 64}, {32, 64}, at::kBFloat16));
}

}  // namespace
}  // namespace bertcram::nn
