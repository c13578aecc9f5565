#include "bertcram/nn/dropout.h"

#include <thread>

#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::same_bits;

at::Tensor dropped_places(const Dropout& dropout, int64_t count = 100'000) {
  return nn::dropout(at::ones({count}), dropout).eq(0);
}

double share(const at::Tensor& booleans) { return booleans.to(at::kDouble).mean().item<double>(); }

TEST(Dropout, ZeroIsTheIdentity) {
  const at::Tensor x = at::ones({3});
  EXPECT_TRUE(dropout(x, {.probability = 0.0, .key = 5}).is_same(x));
}

TEST(Dropout, DropsItsShareAndScalesTheRest) {
  for (const double probability : {0.01, 0.1, 0.5, 0.9}) {
    const at::Tensor y = dropout(at::full({200'000}, 3.0F), {.probability = probability, .key = 11});
    const double spread = std::sqrt(probability * (1 - probability) / 200'000);
    EXPECT_NEAR(share(y.eq(0)), probability, 5 * spread);
    const at::Tensor kept = y.masked_select(y.ne(0));
    EXPECT_TRUE(near(kept, at::full(kept.sizes(), 3.0 / (1 - probability)), 1e-4));
  }
}

// Of independent draws 1/4 are dropped twice. Neighbours, rows of usual widths and similar keys must not be tied.
TEST(Dropout, PlacesAndKeysAreIndependent) {
  const Dropout half = {.probability = 0.5, .key = 40};
  const at::Tensor here = dropped_places(half);
  for (const int64_t distance : {1, 2, 16, 64, 128, 384, 768, 3072}) {
    const int64_t rest = here.numel() - distance;
    EXPECT_NEAR(share(here.narrow(0, 0, rest).logical_and(here.narrow(0, distance, rest))), 0.25, 0.008) << distance;
  }
  for (const uint64_t key : {uint64_t{41}, uint64_t{42}, uint64_t{40} | uint64_t{1} << 32, uint64_t{40} ^ 1U << 31}) {
    EXPECT_NEAR(share(here.logical_and(dropped_places({.probability = 0.5, .key = key}))), 0.25, 0.008) << key;
  }
  EXPECT_NEAR(share(here.logical_and(dropped_places(half.at(0)))), 0.25, 0.008);
  EXPECT_NEAR(share(dropped_places(half.at(0)).logical_and(dropped_places(half.at(1)))), 0.25, 0.008);
}

TEST(Dropout, IsTheSameInEveryTypeThreadAndShape) {
  util::RandomStream random(3);
  const at::Tensor x = test::random_tensor(random, {64, 1000}).add_(3);
  const Dropout dropout = {.probability = 0.3, .key = 1234567890123};
  const at::Tensor expected = nn::dropout(x, dropout).eq(0);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    EXPECT_TRUE(at::equal(nn::dropout(x.to(type), dropout).eq(0), expected));
  }
  EXPECT_TRUE(at::equal(nn::dropout(x.view({8, 8000}), dropout).eq(0), expected.view({8, 8000})));
  EXPECT_TRUE(at::equal(nn::dropout(x.t().contiguous().t(), dropout).eq(0), expected)) << "of the index, not of memory";
  const at::Tensor before = nn::dropout(x, dropout);
  at::rand({5});
  at::Tensor elsewhere;
  std::thread([&] { elsewhere = nn::dropout(x, dropout); }).join();
  EXPECT_TRUE(same_bits(elsewhere, before));
}

TEST(Dropout, TheGradientGoesTheSameWay) {
  util::RandomStream random(4);
  const at::Tensor x = test::leaf_of(test::random_tensor(random, {7, 33}), at::kDouble);
  const at::Tensor gradient = test::random_tensor(random, {7, 33});
  const Dropout dropout = {.probability = 0.4, .key = 9};
  nn::dropout(x, dropout).backward(gradient);
  EXPECT_TRUE(same_bits(x.grad(), nn::dropout(gradient, dropout)));
}

}  // namespace
}  // namespace bertcram::nn
