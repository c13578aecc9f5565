// Tensor functions against their formulas, written out.

#include "bertcram/nn/functional.h"

#include <cmath>

#include "bertcram/util/error.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;

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

TEST(Functional, ABiasMayBeLeftOut) {
  const at::Tensor x = at::tensor({1.0, 2.0, 6.0}).view({1, 3});
  const at::Tensor weight = at::tensor({1.0, 0.0, 3.0, -1.0, 2.0, 2.0}).view({2, 3});
  EXPECT_TRUE(near(nn::linear(x, weight, {}), nn::linear(x, weight, at::zeros({2}, x.options())), 0));
  const at::Tensor scale = at::tensor({1.0, 0.5, 2.0});
  EXPECT_TRUE(near(nn::layer_norm(x, scale, {}, 1e-5), layer_norm(x, scale, at::zeros({3}, x.options()), 1e-5), 1e-7));
}

TEST(Functional, GegluGatesTheFirstHalfByTheSecond) {
  const at::Tensor x = at::tensor({1.0, -2.0, 3.0, 0.5}, at::kDouble).view({1, 4});
  const auto active = [](double value) { return 0.5 * value * (1 + std::erf(value / std::sqrt(2.0))); };
  const at::Tensor expected = at::tensor({3.0 * active(1.0), 0.5 * active(-2.0)}, at::kDouble).view({1, 2});
  EXPECT_TRUE(near(geglu(x), expected, 1e-12));
}

TEST(Functional, GegluHasTheGradientThatAutogradFinds) {
  util::RandomStream random(test::test_seed());
  const at::Tensor weights = test::random_tensor(random, {2, 3, 5}).to(at::kDouble);
  const at::Tensor values = test::random_tensor(random, {2, 3, 10}, 2.0).to(at::kDouble);
  const auto gradient_of = [&](const auto& function) {
    const at::Tensor x = test::leaf_of(values, at::kDouble);
    (function(x) * weights).sum().backward();
    return x.grad();
  };
  const auto composed = [](const at::Tensor& x) { return at::gelu(x.narrow(-1, 0, 5)) * x.narrow(-1, 5, 5); };
  EXPECT_TRUE(near(gradient_of([](const at::Tensor& x) { return geglu(x); }), gradient_of(composed), 1e-12));
}

TEST(Functional, GeluUsesTheErrorFunction) {
  for (const double x : {-3.0, -0.5, 0.0, 0.7, 2.0}) {
    const double expected = 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    EXPECT_NEAR(nn::gelu(at::tensor({x}, at::kDouble)).item<double>(), expected, 1e-12);
  }
}

// Wide and narrow tables, tokens that occur often, ids of either type.
TEST(FunctionalProperty, EmbeddingsGradientIsTheSumOverTheirTokens) {
  util::RandomStream random(test::test_seed());
  for (const int64_t hidden : {3, 16, 100}) {
    for (const auto type : {at::kLong, at::kInt}) {
      const at::Tensor exact = test::leaf_of(test::random_tensor(random, {7, hidden}), at::kDouble);
      const at::Tensor table = test::leaf_of(exact, at::kFloat);
      const at::Tensor ids = test::ids_of({0, 3, 3, 6, 3, 0, 1, 2}).view({2, 4}).to(type);
      const at::Tensor direction = test::random_tensor(random, {2, 4, hidden});
      const auto lookup = [&](const at::Tensor& from) {
        const at::Tensor rows = nn::embedding(from, ids);
        rows.backward(direction.to(from.scalar_type()));
        return rows.detach();
      };
      EXPECT_TRUE(near(lookup(table), lookup(exact), 1e-6));
      EXPECT_TRUE(near(table.grad(), exact.grad(), 1e-5));
      const at::Tensor sums = table.grad();
      lookup(table);
      EXPECT_TRUE(near(sums, 2 * exact.grad(), 1e-5)) << "a second pass is added";
    }
  }
}

TEST(Functional, WrongShapesAreShapeErrors) {
  EXPECT_THROW(nn::embedding(at::zeros({4}), at::zeros({2}, at::kLong)), ShapeError);
  EXPECT_THROW(linear(at::zeros({2, 3}), at::zeros({4, 2}), at::zeros({4})), ShapeError);
  EXPECT_THROW(linear(at::zeros({2, 3}), at::zeros({3}), at::zeros({4})), ShapeError);
  EXPECT_THROW(linear(at::zeros({2, 3}), at::zeros({4, 3}), at::zeros({3})), ShapeError);
  EXPECT_THROW(layer_norm(at::zeros({2, 3}), at::zeros({2}), at::zeros({3}), 1e-5), ShapeError);
  EXPECT_THROW(layer_norm(at::zeros({2, 3}), at::zeros({3}), at::zeros({2}), 1e-5), ShapeError);
  EXPECT_THROW(geglu(at::zeros({2, 3})), ShapeError);
}

}  // namespace
}  // namespace bertcram::nn
