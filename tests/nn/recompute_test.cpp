// Recomputed blocks: the same numbers, the same gradients, from less kept.

#include "bertcram/nn/recompute.h"

#include <ATen/ops/zeros_like.h>

#include "bertcram/nn/functional.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::same_bits;

struct Outcome {
  at::Tensor value, x, weight;  // and two gradients
};

/// Two blocks that draw from the generator, one behind the other, and something random between forward and backward.
Outcome run(bool is_recomputed) {
  util::RandomStream random(3);
  const at::Tensor x = test::leaf_of(test::random_tensor(random, {4, 6}), at::kFloat);
  const at::Tensor weight = test::leaf_of(test::random_tensor(random, {6, 6}), at::kFloat);
  weight.mutable_grad() = at::zeros_like(weight);  // as Parameters do: products add to it, in either case
  at::manual_seed(7);
  const auto block = [&](const at::Tensor& in) {
    return nn::gelu(nn::linear(in, weight, {}) * at::bernoulli(at::full_like(in, 0.7)));
  };
  const auto call = [&](const at::Tensor& in) { return is_recomputed ? recomputed(in, block) : block(in); };
  const at::Tensor y = call(call(x));
  at::rand({10});
  (y * y).sum().backward();
  return {.value = y.detach(), .x = x.grad(), .weight = weight.grad()};
}

TEST(Recompute, ValuesAndGradientsAreBitForBitTheSame) {
  const Outcome kept = run(false);
  const Outcome again = run(true);
  EXPECT_GT(kept.weight.abs().max().item<double>(), 0.1);
  EXPECT_TRUE(same_bits(again.value, kept.value));
  EXPECT_TRUE(same_bits(again.x, kept.x));
  EXPECT_TRUE(same_bits(again.weight, kept.weight));
}

TEST(Recompute, TheGeneratorGoesOnAsIfNothingWereComputedAgain) {
  run(false);
  const at::Tensor next = at::rand({3});
  run(true);
  EXPECT_TRUE(same_bits(at::rand({3}), next));
}

TEST(Recompute, CallsTheBlockOnceMoreInTheBackwardPass) {
  int calls = 0;
  const at::Tensor x = at::ones({2}).requires_grad_(true);
  const at::Tensor y = recomputed(x, [&](const at::Tensor& in) {
    ++calls;
    return in * 3;
  });
  EXPECT_EQ(calls, 1);
  y.sum().backward();
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(test::near(x.grad(), at::full({2}, 3.0), 0));
  const at::Tensor weight = at::ones({2}).requires_grad_(true);
  recomputed(at::full({2}, 5.0), [&](const at::Tensor& in) { return in * weight; }).sum().backward();
  EXPECT_TRUE(test::near(weight.grad(), at::full({2}, 5.0), 0)) << "a graph that ends at x would lose it";
  const c10::NoGradGuard no_gradients;
  EXPECT_FALSE(recomputed(x, [](const at::Tensor& in) { return in * 2; }).requires_grad());
}

}  // namespace
}  // namespace bertcram::nn
