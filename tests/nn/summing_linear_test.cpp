// The linear map whose products add to gradients: the same function and gradients as LibTorch's, and sums in fp32.

#include "nn/summing_linear.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "bertcram/nn/fp16_accumulation.h"
#include "bertcram/nn/functional.h"
#include "bertcram/nn/fused.h"
#include "nn/tensor_support.h"
#include "nn/with_fusing.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

class SummingLinearMap : public ::testing::TestWithParam<bool> {
 protected:
  bool has_bias() const { return GetParam(); }

  util::RandomStream random_{test::test_seed()};
  at::Tensor x_ = random_tensor(random_, {3, 7, 16});
  at::Tensor weight_ = random_tensor(random_, {24, 16});
  at::Tensor bias_ = random_tensor(random_, {24});
  at::Tensor direction_ = random_tensor(random_, {3, 7, 24});
};

TEST_P(SummingLinearMap, EqualsTheLinearMap) {
  const auto run = [&](const auto& map) {
    std::array<at::Tensor, 3> leaves = {test::leaf_of(x_, at::kFloat), test::leaf_of(weight_, at::kFloat),
                                        test::leaf_of(bias_, at::kFloat)};
    const at::Tensor y = map(leaves[0], leaves[1], has_bias() ? leaves[2] : at::Tensor());
    y.backward(direction_.to(at::kFloat));
    return std::pair(y.detach(), leaves);
  };
  const auto [y, leaves] = run(summing_linear);
  const auto [expected, plain] = run([](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  });
  EXPECT_TRUE(near(y, expected, 1e-5));
  EXPECT_TRUE(near(leaves[0].grad(), plain[0].grad(), 1e-5));
  EXPECT_TRUE(near(leaves[1].grad(), plain[1].grad(), 1e-5));
  if (has_bias()) {
    EXPECT_TRUE(near(leaves[2].grad(), plain[2].grad(), 1e-5));
  }
}

// In fp16 the sum would be a multiple of four.
TEST_P(SummingLinearMap, SumsTheGradientsOfWeightsInFp32WhereTheLeavesHaveThem) {
  const at::Tensor weight = test::leaf_of(at::ones({2, 3}), at::kHalf);
  const at::Tensor bias = test::leaf_of(at::ones({2}), at::kHalf);
  weight.mutable_grad() = at::full({2, 3}, 2048.0, at::kFloat);
  bias.mutable_grad() = at::full({2}, 2048.0, at::kFloat);
  const at::Tensor x = at::ones({4095, 3}, at::kHalf);
  const at::Tensor y = summing_linear(x, weight, has_bias() ? bias : at::Tensor());
  y.backward(at::full({4095, 2}, 1.0 + 3.0 / 1024, at::kHalf));
  const double expected = 2048 + 4095 * (1.0 + 3.0 / 1024);
  EXPECT_TRUE(at::equal(weight.grad(), at::full({2, 3}, expected, at::kFloat)));
  if (has_bias()) {
    EXPECT_TRUE(at::equal(bias.grad(), at::full({2}, expected, at::kFloat)));
  }
}

INSTANTIATE_TEST_SUITE_P(Biases, SummingLinearMap, ::testing::Bool());

TEST(SummingLinear, IsTheLinearMapOfACpuInFp32) {
  const test::WithFusing fusing(Fusing::kEverywhere);
  const at::Tensor x = at::ones({2, 3});
  EXPECT_TRUE(can_sum_gradients(x, x));
  EXPECT_FALSE(can_sum_gradients(x, x.to(at::kDouble)));
  EXPECT_FALSE(can_sum_gradients(x.to(at::kDouble), x.to(at::kDouble)));
  const at::Tensor weight = test::leaf_of(at::ones({4, 3}), at::kFloat);
  weight.mutable_grad() = at::full({4, 3}, 5.0F);
  const at::Tensor sums = weight.grad();
  linear(x, weight, at::Tensor()).sum().backward();
  EXPECT_TRUE(at::equal(sums, at::full({4, 3}, 7.0F)));
  EXPECT_TRUE(weight.grad().is_same(sums));
  set_fusing(Fusing::kOff);
  EXPECT_FALSE(can_sum_gradients(x, x));
}

TEST(SummingLinear, LeavesWhatNeedsNoGradientAlone) {
  const at::Tensor x = test::leaf_of(at::ones({2, 3}), at::kFloat);
  at::Tensor weight = at::ones({4, 3});
  weight.mutable_grad() = at::full({4, 3}, 5.0F);
  const at::Tensor bias = test::leaf_of(at::ones({4}), at::kFloat);
  summing_linear(x, weight, bias).sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::full({4, 3}, 5.0F)));
  EXPECT_TRUE(at::equal(x.grad(), at::full({2, 3}, 4.0F)));
  EXPECT_TRUE(at::equal(bias.grad(), at::full({4}, 2.0F)));
  weight.requires_grad_(true);
  summing_linear(x.detach(), weight, bias.detach()).sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::full({4, 3}, 7.0F)));
  EXPECT_TRUE(at::equal(bias.grad(), at::full({4}, 2.0F)));
}

TEST(Fp16Accumulation, IsForFp16OnAGpuThatAsksForIt) {
  const at::Tensor numbers = at::zeros({4, 4}, at::kHalf);
  EXPECT_FALSE(uses_fp16_accumulation());
  set_fp16_accumulation(true);
  EXPECT_FALSE(can_sum_gradients(numbers, numbers)) << "on a CPU";
  set_fp16_accumulation(false);
}

}  // namespace
}  // namespace bertcram::nn
