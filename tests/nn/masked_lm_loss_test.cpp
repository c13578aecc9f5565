// The fused loss against cross-entropy on whole logits, values and all three gradients.

#include "bertcram/nn/masked_lm_loss.h"

#include <array>
#include <cmath>
#include <limits>

#include "bertcram/util/error.h"
#include "nn/kernel_support.h"
#include "nn/kernels/cross_entropy_bf16.h"
#include "nn/kernels/fp32.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::leaf_of;
using test::near;

struct Problem {
  at::Tensor states;     // [masked, hidden]
  at::Tensor embedding;  // [vocab, hidden]
  at::Tensor bias;       // [vocab]
  at::Tensor targets;    // [masked]
};

Problem random_problem(uint64_t seed, int64_t masked, int64_t hidden, int64_t vocab) {
  util::RandomStream random(seed);
  Problem problem{.states = test::random_tensor(random, {masked, hidden}, 2.0),
                  .embedding = test::random_tensor(random, {vocab, hidden}, 1.0),
                  .bias = test::random_tensor(random, {vocab}, 3.0),
                  .targets = at::empty({masked}, at::kLong)};
  for (int64_t i = 0; i < masked; ++i) {
    problem.targets.data_ptr<int64_t>()[i] = static_cast<int64_t>(random.below(static_cast<uint64_t>(vocab)));
  }
  return problem;
}

struct Outcome {
  at::Tensor loss, states, embedding, bias;  // the value and the three gradients
};

/// @param factor the loss is multiplied by it before backward, as another op behind it would
Outcome fused(const Problem& problem, at::ScalarType type, double factor = 1.0) {
  const at::Tensor states = leaf_of(problem.states, type);
  const at::Tensor embedding = leaf_of(problem.embedding, type);
  const at::Tensor bias = leaf_of(problem.bias, type);
  const at::Tensor loss = masked_lm_loss_sum(states, embedding, bias, problem.targets);
  (loss * factor).backward();
  return {loss, states.grad(), embedding.grad(), bias.grad()};
}

/// The same from whole logits in fp64, on the values as the type rounds them.
Outcome reference(const Problem& problem, at::ScalarType type, double factor = 1.0) {
  const at::Tensor states = leaf_of(problem.states.to(type), at::kDouble);
  const at::Tensor embedding = leaf_of(problem.embedding.to(type), at::kDouble);
  const at::Tensor bias = leaf_of(problem.bias.to(type), at::kDouble);
  const at::Tensor loss =
      at::cross_entropy_loss(at::matmul(states, embedding.t()) + bias, problem.targets, {}, at::Reduction::Sum);
  (loss * factor).backward();
  return {loss, states.grad(), embedding.grad(), bias.grad()};
}

void expect_agreement(const Outcome& got, const Outcome& expected, double relative) {
  const auto bound = [relative](const at::Tensor& reference) {
    return relative * std::max(1.0, reference.abs().max().item<double>());
  };
  EXPECT_TRUE(near(got.loss, expected.loss, bound(expected.loss))) << "loss";
  EXPECT_TRUE(near(got.states, expected.states, bound(expected.states))) << "states";
  EXPECT_TRUE(near(got.embedding, expected.embedding, bound(expected.embedding))) << "embedding";
  EXPECT_TRUE(near(got.bias, expected.bias, bound(expected.bias))) << "bias";
}

// Shapes that the kernels for bf16 take: hidden and vocab multiples of 32; and vocabularies that end within a register.
TEST(MaskedLmLossProperty, EqualsCrossEntropyInBf16AtTheSizesOfTheKernels) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  for (const auto& [masked, hidden, vocab] :
       std::vector<std::array<int64_t, 3>>{{32, 32, 64}, {77, 64, 160}, {40, 32, 4192}, {33, 64, 99}, {64, 96, 1000}}) {
    for (const double factor : {1.0, 0.5}) {
      SCOPED_TRACE(cat(masked, " masked, ", hidden, " wide, vocabulary ", vocab, ", loss times ", factor));
      const Problem problem = random_problem(seed + static_cast<uint64_t>(vocab), masked, hidden, vocab);
      expect_agreement(fused(problem, at::kBFloat16, factor), reference(problem, at::kBFloat16, factor), 3e-2);
    }
  }
}

using MaskedLmLossKernels = test::WithBf16Kernels;

/// What `leave_errors(logits, vocab, targets, begin, end, losses)` leaves of rows 1 to 3 of five, far more exactly than gradients tell.
template <class LeaveErrors>
void expect_errors_of_the_softmax(at::ScalarType type, double tolerance, const LeaveErrors& leave_errors) {
  util::RandomStream random(5);
  for (const int64_t vocab : {1, 7, 8, 9, 15, 16, 17, 100}) {
    SCOPED_TRACE(vocab);
    const at::Tensor logits = test::random_tensor(random, {5, vocab}, 20.0).to(type);
    logits[2].sub_(200.0);  // e^-200 is 0 in fp32
    const at::Tensor exact = logits.to(at::kDouble);
    const std::vector<int64_t> targets = {0, 0, vocab - 1, vocab / 2, 0};
    std::vector<float> losses(5, -1.0F);
    leave_errors(logits, vocab, targets.data(), 1, 4, losses.data());
    at::Tensor expected = exact.clone();
    for (int64_t row = 1; row < 4; ++row) {
      const int64_t target = targets[static_cast<size_t>(row)];
      EXPECT_NEAR(losses[static_cast<size_t>(row)], -at::log_softmax(exact, 1)[row][target].item<double>(), 2e-5);
      expected[row].copy_(at::softmax(exact[row], 0));
      expected[row][target] -= 1.0;
    }
    EXPECT_TRUE(near(logits, expected, tolerance));
    EXPECT_EQ(losses[0], -1.0F);
    EXPECT_EQ(losses[4], -1.0F);
  }
}

TEST_F(MaskedLmLossKernels, ErrorsAreThoseOfTheSoftmax) {
  expect_errors_of_the_softmax(at::kBFloat16, 1.0 / 256, [](const at::Tensor& logits, const auto&... others) {
    kernels::cross_entropy(reinterpret_cast<uint16_t*>(logits.data_ptr<at::BFloat16>()), others...);
  });
}

using Fp32LossKernels = test::WithFp32Kernels;

INSTANTIATE_TEST_SUITE_P(Kernels, Fp32LossKernels, test::WithFp32Kernels::all(), test::WithFp32Kernels::name_of);

TEST_P(Fp32LossKernels, ErrorsAreThoseOfTheSoftmax) {
  expect_errors_of_the_softmax(at::kFloat, 1e-6, [](const at::Tensor& logits, const auto&... others) {
    kernels::fp32_kernels().cross_entropy(logits.data_ptr<float>(), others...);
  });
}

// Of sizes that our product takes, and a vocabulary that ends within a register.
TEST_P(Fp32LossKernels, GradientsAreThoseOfCrossEntropy) {
  const Problem problem = random_problem(test::test_seed(), 40, 32, 100);
  expect_agreement(fused(problem, at::kFloat), reference(problem, at::kFloat), 5e-6);
  expect_agreement(fused(problem, at::kFloat, 0.25), reference(problem, at::kFloat, 0.25), 5e-6);
}

TEST_P(Fp32LossKernels, ATargetOutsideTheVocabularyIsRefused) {
  for (const int64_t target : {-1, 100}) {
    Problem problem = random_problem(test::test_seed(), 40, 32, 100);
    problem.targets[39] = target;
    EXPECT_THROW(fused(problem, at::kFloat), ShapeError);
  }
}

// A step with such a loss is skipped (train/health).
TEST_P(Fp32LossKernels, ALogitThatIsNoNumberMakesTheLossNone) {
  for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const int64_t place : {0, 9, 18}) {
      std::vector<float> logits(19, 1.0F);
      logits[static_cast<size_t>(place)] = wrong;
      const int64_t target = 3;
      float loss = 0;
      kernels::fp32_kernels().cross_entropy(logits.data(), 19, &target, 0, 1, &loss);
      EXPECT_TRUE(std::isnan(loss)) << wrong << " at " << place;
    }
  }
}

// The kernels read rows as they lie in memory.
TEST_F(MaskedLmLossKernels, StatesMayBeATransposedView) {
  const Problem problem = random_problem(test::test_seed(), 64, 96, 160);
  const at::Tensor columns = leaf_of(problem.states.t().contiguous(), at::kBFloat16);
  const at::Tensor embedding = leaf_of(problem.embedding, at::kBFloat16);
  const at::Tensor bias = leaf_of(problem.bias, at::kBFloat16);
  const at::Tensor loss = masked_lm_loss_sum(columns.t(), embedding, bias, problem.targets);
  loss.backward();
  expect_agreement({loss, columns.grad().t(), embedding.grad(), bias.grad()}, fused(problem, at::kBFloat16), 1e-6);
}

TEST(MaskedLmLossProperty, EqualsCrossEntropyWithAllGradientsInFp32) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  for (uint64_t round = 0; round < 10; ++round) {
    const auto size = static_cast<int64_t>(round);
    const Problem problem = random_problem(seed + round, 1 + 5 * size, 8 + size, 10 + 20 * size);
    expect_agreement(fused(problem, at::kFloat), reference(problem, at::kFloat), 5e-6);
    expect_agreement(fused(problem, at::kFloat, 0.25), reference(problem, at::kFloat, 0.25), 5e-6);
  }
}

TEST(MaskedLmLossProperty, EqualsCrossEntropyInBf16WithinItsRounding) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  const Problem problem = random_problem(seed, 60, 32, 100);
  const Outcome got = fused(problem, at::kBFloat16);
  EXPECT_EQ(got.loss.scalar_type(), at::kFloat);
  EXPECT_EQ(got.states.scalar_type(), at::kBFloat16);
  expect_agreement(got, reference(problem, at::kBFloat16), 2e-2);
}

// The softmax is formed in fp32 whatever the input, so that a fp64 finite difference would only see fp32 rounding: the
// fp32 loss is differenced with a step wide enough for it.
TEST(MaskedLmLossProperty, GradientsAreFiniteDifferences) {
  const Problem problem = random_problem(test::test_seed(), 3, 4, 7);
  const Outcome outcome = fused(problem, at::kFloat);
  constexpr double kStep = 1e-2;
  const auto check = [&](at::Tensor Problem::*part, const at::Tensor& gradient) {
    for (int64_t i = 0; i < gradient.numel(); ++i) {
      double losses[2];
      for (const int side : {0, 1}) {
        Problem moved = problem;
        moved.*part = (problem.*part).clone();
        (moved.*part).data_ptr<double>()[i] += side == 0 ? -kStep : kStep;
        losses[side] = masked_lm_loss_sum(moved.states.to(at::kFloat), moved.embedding.to(at::kFloat),
                                          moved.bias.to(at::kFloat), moved.targets)
                           .item<double>();
      }
      EXPECT_NEAR((losses[1] - losses[0]) / (2 * kStep), gradient.flatten()[i].item<double>(), 2e-3) << i;
    }
  };
  check(&Problem::states, outcome.states);
  check(&Problem::embedding, outcome.embedding);
  check(&Problem::bias, outcome.bias);
}

TEST(MaskedLmLoss, ByHand) {
  // Equal logits over 4 words: ln 4 per position, gradient softmax - one-hot.
  const Problem problem{.states = at::zeros({2, 3}, at::kDouble),
                        .embedding = at::ones({4, 3}, at::kDouble),
                        .bias = at::zeros({4}, at::kDouble),
                        .targets = test::ids_of({1, 1})};
  const Outcome outcome = fused(problem, at::kFloat);
  EXPECT_NEAR(outcome.loss.item<double>(), 2 * std::log(4.0), 1e-6);
  EXPECT_TRUE(near(outcome.bias, at::tensor({0.5, -1.5, 0.5, 0.5}), 1e-6));
  EXPECT_TRUE(near(outcome.embedding, at::zeros({4, 3}), 0));
}

TEST(MaskedLmLoss, SurvivesHugeLogits) {
  Problem problem = random_problem(1, 4, 4, 6);
  problem.states *= 1e4;
  const Outcome outcome = fused(problem, at::kFloat);
  EXPECT_TRUE(at::isfinite(outcome.loss).item<bool>());
  EXPECT_TRUE(at::isfinite(outcome.embedding).all().item<bool>());
}

TEST(MaskedLmLoss, WithoutMaskedPositionsIsZeroWithZeroGradients) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Outcome outcome = fused(random_problem(1, 0, 5, 9), type);
    EXPECT_EQ(outcome.loss.item<double>(), 0.0);
    EXPECT_EQ(outcome.loss.scalar_type(), at::kFloat);
    EXPECT_TRUE(near(outcome.embedding, at::zeros({9, 5}), 0));
    EXPECT_TRUE(near(outcome.bias, at::zeros({9}), 0));
    EXPECT_EQ(outcome.states.sizes(), (std::vector<int64_t>{0, 5}));
  }
}

TEST(MaskedLmLoss, LeavesWhatNeedsNoGradientAlone) {
  const Problem problem = random_problem(4, 6, 5, 9);
  const Outcome expected = fused(problem, at::kFloat);
  const std::array<at::Tensor, 3> gradients = {expected.states, expected.embedding, expected.bias};
  for (size_t frozen = 0; frozen < 3; ++frozen) {
    SCOPED_TRACE(frozen);
    std::array<at::Tensor, 3> leaves = {leaf_of(problem.states, at::kFloat), leaf_of(problem.embedding, at::kFloat),
                                        leaf_of(problem.bias, at::kFloat)};
    leaves[frozen].requires_grad_(false);
    leaves[frozen].mutable_grad() = at::full(leaves[frozen].sizes(), 5.0F);
    masked_lm_loss_sum(leaves[0], leaves[1], leaves[2], problem.targets).backward();
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(near(leaves[i].grad(), i == frozen ? at::full(leaves[i].sizes(), 5.0F) : gradients[i], 1e-6)) << i;
    }
  }
}

TEST(MaskedLmLoss, WithoutGradientsGivesTheSameValue) {
  const Problem problem = random_problem(2, 6, 5, 9);
  const double expected = reference(problem, at::kFloat).loss.item<double>();
  const c10::NoGradGuard no_grad;
  const at::Tensor states = problem.states.to(at::kFloat);
  const at::Tensor before = states.clone();
  const at::Tensor loss =
      masked_lm_loss_sum(states, problem.embedding.to(at::kFloat), problem.bias.to(at::kFloat), problem.targets);
  EXPECT_TRUE(test::same_bits(states, before));
  EXPECT_NEAR(loss.item<double>(), expected, 1e-4);
}

TEST(MaskedLmLoss, WrongShapesAndTypesAreShapeErrors) {
  const at::Tensor states = at::zeros({2, 3});
  const at::Tensor embedding = at::zeros({4, 3});
  const at::Tensor bias = at::zeros({4});
  const at::Tensor targets = at::zeros({2}, at::kLong);
  EXPECT_NO_THROW(masked_lm_loss_sum(states, embedding, bias, targets));
  EXPECT_THROW(masked_lm_loss_sum(at::zeros({2, 4}), embedding, bias, targets), ShapeError);
  EXPECT_THROW(masked_lm_loss_sum(at::zeros({2, 3, 1}), embedding, bias, targets), ShapeError);
  EXPECT_THROW(masked_lm_loss_sum(states, at::zeros({4}), bias, targets), ShapeError);
  EXPECT_THROW(masked_lm_loss_sum(states, embedding, at::zeros({3}), targets), ShapeError);
  EXPECT_THROW(masked_lm_loss_sum(states, embedding, bias, at::zeros({3}, at::kLong)), ShapeError);
  EXPECT_THROW(masked_lm_loss_sum(states, embedding, bias, at::zeros({2}, at::kInt)), ShapeError);
  EXPECT_THROW(masked_lm_loss_sum(states.to(at::kBFloat16), embedding, bias, targets), ShapeError);
  EXPECT_THROW(masked_lm_loss_sum(states, embedding, bias.to(at::kBFloat16), targets), ShapeError);
}

TEST(MaskedLmLogits, AreFp32ScoresOfEveryWord) {
  const Problem problem = random_problem(3, 5, 4, 6);
  const at::Tensor logits =
      masked_lm_logits(problem.states.to(at::kFloat), problem.embedding.to(at::kFloat), problem.bias.to(at::kFloat));
  EXPECT_TRUE(near(logits, at::matmul(problem.states, problem.embedding.t()) + problem.bias, 1e-5));
  EXPECT_EQ(masked_lm_logits(problem.states.to(at::kBFloat16), problem.embedding.to(at::kBFloat16),
                             problem.bias.to(at::kBFloat16))
                .scalar_type(),
            at::kFloat);
}

// A working buffer of 2^20 numbers holds 26 rows of 40,000: several chunks and a rest. A matrix product of 40,000 terms in
// fp32 is off by some 3e-5, that of cross-entropy on whole fp32 logits too.
TEST(MaskedLmLossProperty, ManyRowsOfALargeVocabularyAreTheSameAsOneByOne) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  const Problem problem = random_problem(seed, 60, 4, 40'000);
  expect_agreement(fused(problem, at::kFloat), reference(problem, at::kFloat), 2e-4);
  expect_agreement(fused(problem, at::kBFloat16), reference(problem, at::kBFloat16), 2e-2);
}

TEST(SampledLoss, TheLossIsTheSameAndSamplesFollowThePrediction) {
  // Every row predicts 0.7, 0.2, 0.1 and nothing else.
  constexpr int64_t kRows = 20'000;
  const at::Tensor states = at::ones({kRows, 1}).requires_grad_(true);
  const at::Tensor embedding = at::tensor({std::log(0.7F), std::log(0.2F), std::log(0.1F), -200.0F}).view({4, 1});
  const at::Tensor bias = at::zeros({4});
  const at::Tensor targets = at::zeros({kRows}, at::kLong);
  at::manual_seed(3);
  const SampledLoss sampled = masked_lm_loss_and_samples(states, embedding, bias, targets);
  const double plain = masked_lm_loss_sum(states, embedding, bias, targets).item<double>();  // by a kernel, perhaps
  EXPECT_NEAR(sampled.loss.item<double>(), plain, 1e-5 * plain);
  sampled.loss.backward();
  EXPECT_TRUE(states.grad().defined());
  EXPECT_FALSE(sampled.samples.requires_grad());
  EXPECT_EQ(sampled.correct.item<int64_t>(), kRows) << "the first word is the best prediction everywhere";
  const at::Tensor shares = at::bincount(sampled.samples, {}, 4).to(at::kDouble) / kRows;
  EXPECT_TRUE(near(shares, at::tensor({0.7, 0.2, 0.1, 0.0}, at::kDouble), 0.015));
  EXPECT_EQ(masked_lm_loss_and_samples(states, embedding, bias, at::ones_like(targets)).correct.item<int64_t>(), 0);
  at::manual_seed(3);
  EXPECT_TRUE(test::same_bits(masked_lm_loss_and_samples(states, embedding, bias, targets).samples, sampled.samples));
}

}  // namespace
}  // namespace bertcram::nn
