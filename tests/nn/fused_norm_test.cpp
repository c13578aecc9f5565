// Residual addition and layer norm by own kernels, against fp64, and where the gradients go.

#include "nn/fused_norm.h"

#include <array>

#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "nn/kernel_support.h"
#include "nn/kernels/norm_bf16.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

constexpr double kEps = 1e-5;
constexpr double kBf16 = 1.0 / 256;

using FusedNormTest = test::WithBf16Kernels;

using FusedNormProperty = FusedNormTest;

struct Inputs {
  at::Tensor x, branch, weight, bias, direction, sum_direction;
};

Inputs random_inputs(util::RandomStream& random, int64_t rows, int64_t hidden) {
  const auto make = [&](at::IntArrayRef shape) { return random_tensor(random, shape, 2.0).to(at::kBFloat16); };
  return {.x = make({rows, hidden}),
          .branch = make({rows, hidden}),
          .weight = make({hidden}),
          .bias = make({hidden}),
          .direction = make({rows, hidden}),
          .sum_direction = make({rows, hidden})};
}

struct Results {
  at::Tensor normed;
  std::array<at::Tensor, 4> leaves;  // x branch weight bias
};

enum class Uses { kNormed, kBoth, kSum };

Results run(const Inputs& inputs, at::ScalarType type, bool has_bias, Uses uses) {
  Results found = {.normed = {},
                   .leaves = {test::leaf_of(inputs.x, type), test::leaf_of(inputs.branch, type),
                              test::leaf_of(inputs.weight, type), test::leaf_of(inputs.bias, type)}};
  const auto& [x, branch, weight, bias] = found.leaves;
  const NormedSum both = add_norm(x, branch, weight, has_bias ? bias : at::Tensor(), kEps);
  at::Tensor loss = at::zeros({}, type);
  if (uses != Uses::kSum) {
    loss = loss + (both.normed * inputs.direction.to(type)).sum();
  }
  if (uses != Uses::kNormed) {
    loss = loss + (both.sum * inputs.sum_direction.to(type)).sum();
  }
  loss.backward();
  found.normed = both.normed.detach();
  return found;
}

double largest(const at::Tensor& values) { return values.abs().max().item<double>(); }

// One row, rows for several threads, narrow and wide.
TEST_F(FusedNormProperty, EqualsFp64WithinBf16) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (const auto& [rows, hidden] : std::vector<std::array<int64_t, 2>>{{1, 16}, {7, 48}, {1031, 64}, {260, 768}}) {
    const Inputs inputs = random_inputs(random, rows, hidden);
    for (const bool has_bias : {true, false}) {
      for (const Uses uses : {Uses::kNormed, Uses::kBoth}) {
        SCOPED_TRACE(
            cat(rows, " rows of ", hidden, has_bias ? ", bias" : "", uses == Uses::kBoth ? ", both used" : ""));
        const Results fused = run(inputs, at::kBFloat16, has_bias, uses);
        const Results exact = run(inputs, at::kDouble, has_bias, uses);
        EXPECT_TRUE(near(fused.normed, exact.normed, 2 * kBf16 * largest(exact.normed)));
        for (size_t i = 0; i < (has_bias ? 4U : 3U); ++i) {
          const at::Tensor expected = exact.leaves[i].grad();
          EXPECT_TRUE(near(fused.leaves[i].grad(), expected, 2 * kBf16 * largest(expected))) << "gradient " << i;
        }
      }
    }
  }
}

TEST_F(FusedNormProperty, ALayerNormAloneEqualsFp64) {
  util::RandomStream random(test::test_seed());
  const Inputs inputs = random_inputs(random, 130, 96);
  const auto run_norm = [&](at::ScalarType type) {
    const at::Tensor x = test::leaf_of(inputs.x + 3, type);  // a mean that is not zero
    const at::Tensor y = layer_norm(x, inputs.weight.to(type), inputs.bias.to(type), kEps);
    y.backward(inputs.direction.to(type));
    return std::pair(y.detach(), x.grad());
  };
  ASSERT_TRUE(can_fuse_norm(inputs.x, inputs.weight, inputs.bias));
  const auto [y, gradient] = run_norm(at::kBFloat16);
  const auto [exact, exact_gradient] = run_norm(at::kDouble);
  EXPECT_TRUE(near(y, exact, kBf16 * largest(exact)));
  EXPECT_TRUE(near(gradient, exact_gradient, kBf16 * largest(exact_gradient)));
}

TEST_F(FusedNormTest, ASumThatAloneIsUsedPassesItsGradientOn) {
  util::RandomStream random(test::test_seed());
  const Inputs inputs = random_inputs(random, 5, 32);
  const Results found = run(inputs, at::kBFloat16, true, Uses::kSum);
  EXPECT_TRUE(test::same_bits(found.leaves[0].grad(), inputs.sum_direction));
  EXPECT_TRUE(test::same_bits(found.leaves[1].grad(), inputs.sum_direction));
}

TEST_F(FusedNormProperty, GradientsOfWeightsAreSummedInFp32WhereTheLeavesHaveThem) {
  util::RandomStream random(test::test_seed());
  const at::Tensor x = random_tensor(random, {700, 64}).to(at::kBFloat16);
  const at::Tensor weight = test::leaf_of(random_tensor(random, {64}), at::kBFloat16);
  const at::Tensor bias = test::leaf_of(random_tensor(random, {64}), at::kBFloat16);
  weight.mutable_grad() = at::zeros({64}, at::kFloat);
  bias.mutable_grad() = at::zeros({64}, at::kFloat);
  const at::Tensor sums = weight.grad();
  const at::Tensor exact = test::leaf_of(weight, at::kDouble);
  at::Tensor expected_bias = at::zeros({64}, at::kDouble);
  for (int pass = 0; pass < 3; ++pass) {
    const at::Tensor direction = random_tensor(random, {700, 64}).to(at::kBFloat16);
    layer_norm(test::leaf_of(x, at::kBFloat16), weight, bias, kEps).backward(direction);
    layer_norm(x.to(at::kDouble), exact, {}, kEps).backward(direction.to(at::kDouble));
    expected_bias += direction.to(at::kDouble).sum(0);
  }
  EXPECT_TRUE(weight.grad().is_same(sums)) << "added in place";
  EXPECT_TRUE(near(sums, exact.grad(), 1e-3)) << "far below what bf16 could hold";
  EXPECT_TRUE(near(bias.grad(), expected_bias, 1e-4));
}

TEST_F(FusedNormTest, WhatDoesNotFitIsLeftToLibTorch) {
  const auto fuses = [](int64_t hidden, at::ScalarType type) {
    return can_fuse_norm(at::zeros({4, hidden}, type), at::zeros({hidden}, type), {});
  };
  EXPECT_TRUE(fuses(48, at::kBFloat16));
  EXPECT_FALSE(fuses(40, at::kBFloat16));
  EXPECT_FALSE(fuses(48, at::kFloat));
  set_fusing(Fusing::kOff);
  EXPECT_FALSE(fuses(48, at::kBFloat16));
}

TEST(AddNormTest, ABranchOfAnotherShapeIsRefused) {
  const at::Tensor weight = at::ones({8});
  EXPECT_THROW(add_norm(at::zeros({2, 8}), at::zeros({1, 8}), weight, {}, kEps), ShapeError);
}

}  // namespace
}  // namespace bertcram::nn
