#include "bertcram/nn/low_rank.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/matmul.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "bertcram/nn/random.h"
#include "bertcram/util/error.h"

namespace bertcram::nn {
namespace {

// More directions than asked for, and some passes over the matrix: errors fall with the power of the spectrum's decay.
constexpr int64_t kOversampling = 64;
constexpr int kPasses = 4;

at::Tensor orthonormal_columns(const at::Tensor& matrix) { return std::get<0>(at::linalg_qr(matrix)); }

at::Tensor drawn(int64_t rows, int64_t columns, uint64_t seed, uint64_t which) {
  return normal_tensor({rows, columns}, 1.0, util::RandomStream(seed, util::RandomPurpose::kDirections, {which}));
}

}  // namespace

LeadingDirections leading_directions(const at::Tensor& matrix, int64_t rank, uint64_t seed) {
  const c10::NoGradGuard no_grad;
  const int64_t smaller = std::min(matrix.size(0), matrix.size(1));
  BC_CHECK(rank >= 1 && rank <= smaller, rank);
  const int64_t sampled = std::min(smaller, rank + kOversampling);
  at::Tensor basis = drawn(matrix.size(0), sampled, seed, 0).to(matrix.device());  // [rows, sampled]
  for (int pass = 0; pass < kPasses; ++pass) {
    basis = orthonormal_columns(at::matmul(matrix, at::matmul(matrix.t(), basis)));
  }
  const at::Tensor projected = at::matmul(basis.t(), matrix);                             // [sampled, columns]
  const auto [squares, vectors] = at::linalg_eigh(at::matmul(projected, projected.t()));  // ascending
  return {.vectors = at::matmul(basis, vectors.flip(1).narrow(1, 0, rank)),
          .values = squares.flip(0).narrow(0, 0, rank).clamp_min(0).sqrt()};
}

at::Tensor random_rotation(int64_t rows, int64_t columns, uint64_t seed) {
  const c10::NoGradGuard no_grad;
  BC_CHECK(rows <= columns, rows, " > ", columns);
  return orthonormal_columns(drawn(columns, rows, seed, 1)).t();
}

}  // namespace bertcram::nn
