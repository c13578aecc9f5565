// The strongest directions of a matrix, against LibTorch's full decomposition.

#include "bertcram/nn/low_rank.h"

#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;
using test::same_bits;

/// Singular values 1, 1/2, 1/4, …
at::Tensor decaying_matrix(int64_t rows, int64_t columns) {
  util::RandomStream random(test::test_seed());
  const int64_t rank = std::min(rows, columns);
  const at::Tensor left = std::get<0>(at::linalg_qr(random_tensor(random, {rows, rank})));
  const at::Tensor right = std::get<0>(at::linalg_qr(random_tensor(random, {columns, rank})));
  const at::Tensor values = at::pow(0.5, at::arange(rank, at::kDouble));
  return at::matmul(left * values, right.t()).to(at::kFloat);
}

TEST(LeadingDirections, EqualTheFullDecomposition) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{300, 120}, {120, 300}}) {
    const at::Tensor matrix = decaying_matrix(rows, columns);
    const auto directions = leading_directions(matrix, 8, 3);
    const auto [left, values, right] = at::linalg_svd(matrix.to(at::kDouble), /*full_matrices=*/false);
    EXPECT_TRUE(near(directions.values, values.narrow(0, 0, 8), 1e-4));
    EXPECT_TRUE(near(at::matmul(directions.vectors.t(), directions.vectors), at::eye(8), 1e-4));
    const at::Tensor agreement = at::matmul(directions.vectors.to(at::kDouble).t(), left.narrow(1, 0, 8)).abs();
    EXPECT_TRUE(near(agreement, at::eye(8), 1e-2));  // up to the sign
  }
}

TEST(LeadingDirections, AreAFunctionOfTheSeed) {
  const at::Tensor matrix = decaying_matrix(90, 80);
  EXPECT_TRUE(same_bits(leading_directions(matrix, 5, 1).vectors, leading_directions(matrix, 5, 1).vectors));
  EXPECT_FALSE(same_bits(leading_directions(matrix, 5, 1).vectors, leading_directions(matrix, 5, 2).vectors));
}

TEST(LeadingDirections, TakeAMatrixOfLowerRank) {
  const at::Tensor matrix = at::zeros({20, 10});
  matrix.select(0, 3).fill_(1.0);
  const auto directions = leading_directions(matrix, 10, 1);
  EXPECT_NEAR(directions.values[0].item<double>(), std::sqrt(10.0), 1e-4);
  EXPECT_NEAR(std::abs(directions.vectors[3][0].item<double>()), 1.0, 1e-4);
  EXPECT_TRUE(directions.values.narrow(0, 1, 9).lt(1e-2).all().item<bool>());
  EXPECT_TRUE(directions.vectors.isfinite().all().item<bool>());
}

TEST(RandomRotation, KeepsLengthsAndAngles) {
  const at::Tensor rotation = random_rotation(12, 30, 5);
  EXPECT_EQ(rotation.sizes(), (std::vector<int64_t>{12, 30}));
  EXPECT_TRUE(near(at::matmul(rotation, rotation.t()), at::eye(12), 1e-5));
  EXPECT_FALSE(same_bits(rotation, random_rotation(12, 30, 6)));
}

}  // namespace
}  // namespace bertcram::nn
