// Muon against the polar factor of an SVD, and an update written out.

#include "bertcram/optim/muon.h"

#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_svdvals.h>

#include <cmath>

#include "bertcram/optim/optimizer.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::optim {
namespace {

using test::near;
using test::same_bits;

TEST(OrthogonalisedProperty, SingularValuesComeNearOneAndDirectionsStay) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  at::manual_seed(seed);
  for (const auto& [rows, columns] : {std::pair(24, 24), std::pair(16, 40), std::pair(40, 16), std::pair(1, 8)}) {
    const at::Tensor matrices = at::randn({3, rows, columns});
    const at::Tensor result = orthogonalised(matrices, at::kFloat);
    ASSERT_EQ(result.sizes(), matrices.sizes());
    for (int64_t i = 0; i < 3; ++i) {
      const auto [u, s, vh] = at::linalg_svd(matrices[i], /*full_matrices=*/false);
      const at::Tensor turned = at::matmul(at::matmul(u.t(), result[i]), vh.t());
      const at::Tensor values = turned.diagonal();
      const at::Tensor seen = values.masked_select(s > 1e-2 * s.max());
      EXPECT_GT(seen.min().item<double>(), 0.6) << rows << " x " << columns;
      EXPECT_LT(values.max().item<double>(), 1.3);
      EXPECT_LT((turned - values.diag()).abs().max().item<double>(), 1e-3) << "no direction is mixed into another";
    }
  }
}

TEST(Orthogonalised, IgnoresTheSizeOfTheGradientAndLeavesZerosAlone) {
  at::manual_seed(3);
  const at::Tensor matrix = at::randn({1, 8, 12});
  EXPECT_TRUE(near(orthogonalised(matrix * 1e4, at::kFloat), orthogonalised(matrix, at::kFloat), 1e-4));
  EXPECT_EQ(orthogonalised(at::zeros({1, 4, 4}), at::kFloat).abs().max().item<double>(), 0.0);
}

TEST(MuonUpdate, EqualsItsFormula) {
  at::manual_seed(5);
  const at::Tensor start = at::randn({2, 6, 10});
  at::Tensor weights = start.clone();
  at::Tensor momenta = at::zeros_like(start);
  at::Tensor expected_momenta = at::zeros_like(start);
  at::Tensor expected = start.clone();
  const MuonOptions options = {.learning_rate = 0.01, .momentum = 0.9, .weight_decay = 0.5};
  for (int step = 0; step < 3; ++step) {
    const at::Tensor gradients = at::randn_like(start);
    expected_momenta = 0.9 * expected_momenta + gradients;
    const at::Tensor direction = orthogonalised(gradients + 0.9 * expected_momenta, at::kFloat);
    expected = expected * (1 - 0.01 * 0.5) - 0.01 * 0.2 * std::sqrt(10.0) * direction;
    muon_update(weights, gradients, momenta, options, at::kFloat);
  }
  EXPECT_TRUE(near(weights, expected, 1e-5));
  EXPECT_TRUE(near(momenta, expected_momenta, 1e-5));
}

nn::Parameters make_parameters() {
  return nn::Parameters({{.leaf = "m", .parts = {"m"}, .shape = {12, 8}, .blocks = 3},
                         {.leaf = "t", .parts = {"t"}, .shape = {5, 8}, .group = nn::Group::kTable},
                         {.leaf = "b", .parts = {"b"}, .shape = {7}, .group = nn::Group::kVector}},
                        at::kFloat, at::kCPU);
}

TEST(Optimizer, MuonMovesTheMatricesBlockByBlockAndAdamWTheRest) {
  at::manual_seed(7);
  nn::Parameters one = make_parameters();
  nn::Parameters two = make_parameters();
  Optimizer muon(one,
                 {.algorithm = config::Algorithm::kMuon, .muon_rate_factor = 3.0, .weight_decay = 0.1, .clip_norm = 0});
  Optimizer adamw(two, {.weight_decay = 0.1, .clip_norm = 0});
  const at::Tensor start = at::randn_like(one.masters());
  const at::Tensor gradient = at::randn_like(start);
  one.masters().copy_(start);
  two.masters().copy_(start);
  one.gradients().copy_(gradient);
  two.gradients().copy_(gradient);
  muon.step(0.01, 1.0);
  adamw.step(0.01, 1.0);
  EXPECT_TRUE(same_bits(one.leaf("t"), two.leaf("t")));
  EXPECT_TRUE(same_bits(one.leaf("b"), two.leaf("b")));
  const auto range = one.range_of(nn::Group::kMatrix);
  at::Tensor weights = start.narrow(0, range.begin, 96).view({3, 4, 8}).clone();
  at::Tensor momenta = at::zeros_like(weights);
  muon_update(weights, gradient.narrow(0, range.begin, 96).view({3, 4, 8}), momenta,
              {.learning_rate = 3 * 0.01, .momentum = 0.95, .weight_decay = 0.1}, at::kFloat);
  EXPECT_TRUE(near(one.leaf("m"), weights.view({12, 8}), 1e-6));
  EXPECT_EQ(muon.second_moments().narrow(0, range.begin, range.size).abs().max().item<double>(), 0.0);
}

TEST(Optimizer, EachGroupHasItsWeightDecay) {
  nn::Parameters parameters = make_parameters();
  Optimizer optimizer(parameters, {.weight_decay = 0.5, .table_weight_decay = 0.25, .clip_norm = 0});
  parameters.masters().fill_(1.0);
  optimizer.step(0.1, 1.0);  // no gradient: decay alone
  EXPECT_TRUE(near(parameters.leaf("m"), at::full({12, 8}, 1 - 0.1 * 0.5), 1e-6));
  EXPECT_TRUE(near(parameters.leaf("t"), at::full({5, 8}, 1 - 0.1 * 0.25), 1e-6));
  EXPECT_TRUE(near(parameters.leaf("b"), at::full({7}, 1.0), 0));
}

}  // namespace
}  // namespace bertcram::optim
