// Activations and rotary positions by own kernels, against fp64.

#include "nn/fused_pointwise.h"

#include <limits>

#include "bertcram/nn/functional.h"
#include "bertcram/nn/fused.h"
#include "bertcram/nn/rotary.h"
#include "bertcram/util/error.h"
#include "nn/kernel_support.h"
#include "nn/kernels/pointwise_bf16.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

constexpr double kBf16 = 1.0 / 256;

using FusedPointwise = test::WithBf16Kernels;

using FusedPointwiseProperty = FusedPointwise;

/// Value and gradient in a direction, in bf16 and in fp64 of the same numbers.
template <class Function>
void expect_equal_to_fp64(const at::Tensor& values, const at::Tensor& direction, const Function& function) {
  const auto run = [&](at::ScalarType type) {
    const at::Tensor x = test::leaf_of(values, type);
    const at::Tensor y = function(x);
    y.backward(direction.to(type));
    return std::pair(y.detach(), x.grad());
  };
  const auto [y, gradient] = run(at::kBFloat16);
  const auto [exact, exact_gradient] = run(at::kDouble);
  // Relative to each number, down to where the distribution function is small.
  EXPECT_TRUE(near((y.to(at::kDouble) - exact) / (exact.abs() + 1e-4), at::zeros_like(exact), kBf16));
  EXPECT_TRUE(near((gradient.to(at::kDouble) - exact_gradient) / (exact_gradient.abs() + 1e-3),
                   at::zeros_like(exact_gradient), kBf16));
}

TEST_F(FusedPointwiseProperty, GeluEqualsFp64) {
  for (const int64_t count : {1, 15, 16, 17, 50'001}) {  // ends within a register; several threads
    SCOPED_TRACE(count);
    const at::Tensor x = at::linspace(-9, 9, count, at::kDouble).to(at::kBFloat16);
    ASSERT_TRUE(can_fuse_pointwise(x));
    expect_equal_to_fp64(x, at::ones({count}, at::kBFloat16), [](const at::Tensor& each) { return nn::gelu(each); });
  }
}

TEST_F(FusedPointwiseProperty, GegluEqualsFp64) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (const int64_t ffn : {16, 48, 1024}) {
    SCOPED_TRACE(ffn);
    expect_equal_to_fp64(random_tensor(random, {3, 33, 2 * ffn}, 4.0).to(at::kBFloat16),
                         random_tensor(random, {3, 33, ffn}).to(at::kBFloat16),
                         [](const at::Tensor& each) { return nn::geglu(each); });
  }
}

TEST_F(FusedPointwiseProperty, RotationEqualsFp64AndItsGradientTurnsBack) {
  util::RandomStream random(test::test_seed());
  for (const int64_t dim : {32, 64, 96}) {
    SCOPED_TRACE(dim);
    const int64_t heads = 2;
    const at::Tensor values = random_tensor(random, {2, 70, 3 * heads * dim}).to(at::kBFloat16);
    const at::Tensor direction = random_tensor(random, {2, 70, 3 * heads * dim}).to(at::kBFloat16);
    const RotaryTables tables = rotary_tables(at::arange(70, at::kLong), dim, 10'000);
    const auto run = [&](at::ScalarType type) {
      const at::Tensor x = test::leaf_of(values, type);
      const at::Tensor y = rotate(x, tables, heads);
      y.backward(direction.to(type));
      return std::pair(y.detach(), x.grad());
    };
    const auto [y, gradient] = run(at::kBFloat16);
    const auto [exact, exact_gradient] = run(at::kDouble);
    EXPECT_TRUE(near(y, exact, 1.5 * kBf16));
    EXPECT_TRUE(near(gradient, exact_gradient, 1.5 * kBf16));
    EXPECT_FALSE(near(y, values, 0.1)) << "or the test could not fail";
  }
}

TEST_F(FusedPointwise, SaysWhatIsNoNumber) {
  const at::Tensor x = at::zeros({40}, at::kBFloat16);
  x[17] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(at::isnan(nn::gelu(x)[17]).item<bool>());
  EXPECT_EQ(at::isnan(nn::gelu(x)).sum().item<int64_t>(), 1);
}

}  // namespace
}  // namespace bertcram::nn
