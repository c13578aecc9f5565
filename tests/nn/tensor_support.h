#pragma once
// Tensors in tests: seeded random ones, and comparison with a message that says how far off they are.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "bertcram/util/random.h"

namespace bertcram::test {

/// Uniform in [-scale, scale], fp64; the same on every machine.
inline at::Tensor random_tensor(util::RandomStream& random, at::IntArrayRef shape, double scale = 1.0) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    tensor.data_ptr<double>()[i] = scale * (2 * random.uniform() - 1);
  }
  return tensor;
}

/// A leaf of this type that collects a gradient.
inline at::Tensor leaf_of(const at::Tensor& values, at::ScalarType type) {
  return values.detach().to(type, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true);
}

inline at::Tensor ids_of(const std::vector<int64_t>& ids) { return at::tensor(ids, at::kLong); }

inline ::testing::AssertionResult near(const at::Tensor& got, const at::Tensor& expected, double tolerance) {
  if (got.sizes() != expected.sizes()) {
    return ::testing::AssertionFailure() << "shape " << got.sizes() << ", expected " << expected.sizes();
  }
  const double worst =
      got.numel() == 0 ? 0.0
                       : (got.detach().to(at::kDouble) - expected.detach().to(at::kDouble)).abs().max().item<double>();
  if (worst <= tolerance) {  // false for NaN
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "off by " << worst << ", allowed " << tolerance;
}

/// Same shape, type and bits.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && at::equal(a, b);
}

}  // namespace bertcram::test
