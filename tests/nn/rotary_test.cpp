// Rotary positions: the formula, its backward, and what they are for.

#include "bertcram/nn/rotary.h"

#include <cmath>

#include "bertcram/util/error.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

RotaryTables tables_of(std::vector<int64_t> positions, int64_t head_dim, double theta = 100.0) {
  return rotary_tables(test::ids_of(positions), head_dim, theta);
}

TEST(Rotary, ByHand) {
  const RotaryTables tables = tables_of({0, 3}, 4);
  // One head of 4 numbers: pairs (0, 2) by the position, (1, 3) by the position / sqrt(100).
  const at::Tensor qkv = at::tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0}, at::kDouble);
  const at::Tensor turned = rotate(qkv.repeat({2}).view({1, 2, 12}), tables, 1);
  EXPECT_TRUE(near(turned[0][0], qkv, 0)) << "position 0 is not turned";
  const auto turn = [](double first, double second, double angle) {
    return std::pair(first * std::cos(angle) - second * std::sin(angle),
                     second * std::cos(angle) + first * std::sin(angle));
  };
  const auto [q0, q2] = turn(1, 3, 3.0);
  const auto [q1, q3] = turn(2, 4, 0.3);
  const auto [k0, k2] = turn(5, 7, 3.0);
  const auto [k1, k3] = turn(6, 8, 0.3);
  const at::Tensor expected = at::tensor({q0, q1, q2, q3, k0, k1, k2, k3, 9.0, 10.0, 11.0, 12.0}, at::kDouble);
  EXPECT_TRUE(near(turned[0][1], expected, 1e-6));
}

TEST(RotaryProperty, ProductsDependOnDistancesOnly) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const at::Tensor token = random_tensor(random, {1, 1, 3 * 8}).repeat({1, 5, 1});
  const at::Tensor turned = rotate(token, tables_of({0, 4, 7, 11, 50}, 8), 1)[0];  // [5, 24]
  const auto product = [&](int64_t query, int64_t key) {
    return (turned[query].narrow(0, 0, 8) * turned[key].narrow(0, 8, 8)).sum().item<double>();
  };
  EXPECT_NEAR(product(0, 1), product(2, 3), 1e-5) << "both four apart";
  EXPECT_GT(std::abs(product(0, 1) - product(1, 2)), 1e-3);
}

// The backward is the rotation back, not what autograd makes of the forward.
TEST(RotaryProperty, GradientsAreFiniteDifferences) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const at::Tensor values = random_tensor(random, {2, 3, 3 * 8});
  const at::Tensor weights = random_tensor(random, {2, 3, 3 * 8});
  RotaryTables tables = tables_of({0, 5, 2}, 4);
  tables = {.cosines = tables.cosines.to(at::kDouble), .sines = tables.sines.to(at::kDouble)};
  const at::Tensor leaf = test::leaf_of(values, at::kDouble);
  (rotate(leaf, tables, 2) * weights).sum().backward();
  constexpr double kStep = 1e-5;
  for (int64_t i = 0; i < values.numel(); ++i) {
    double sums[2];
    for (const int side : {0, 1}) {
      const at::Tensor moved = values.clone();
      moved.data_ptr<double>()[i] += side == 0 ? -kStep : kStep;
      sums[side] = (rotate(moved, tables, 2) * weights).sum().item<double>();
    }
    EXPECT_NEAR((sums[1] - sums[0]) / (2 * kStep), leaf.grad().flatten()[i].item<double>(), 1e-8) << i;
  }
}

TEST(Rotary, Bf16IsTheFp32ResultRounded) {
  util::RandomStream random(2);
  const at::Tensor qkv = random_tensor(random, {1, 3, 3 * 8}).to(at::kBFloat16);
  const RotaryTables tables = tables_of({1, 2, 9}, 4);
  EXPECT_TRUE(test::same_bits(rotate(qkv, tables, 2), rotate(qkv.to(at::kFloat), tables, 2).to(at::kBFloat16)));
}

TEST(Rotary, WrongShapesAreShapeErrors) {
  const RotaryTables tables = tables_of({0, 1, 2}, 4);
  EXPECT_NO_THROW(rotate(at::zeros({1, 3, 24}), tables, 2));
  EXPECT_THROW(rotate(at::zeros({1, 3, 24}), tables, 3), ShapeError);
  EXPECT_THROW(rotate(at::zeros({1, 4, 24}), tables, 2), ShapeError);
  EXPECT_THROW(rotate(at::zeros({3, 24}), tables, 2), ShapeError);
}

}  // namespace
}  // namespace bertcram::nn
