// AdamW against an independent loop in double precision.

#include "bertcram/optim/optimizer.h"

#include <cmath>

#include "bertcram/nn/fused.h"
#include "nn/tensor_support.h"
#include "nn/with_fusing.h"
#include "util/test_support.h"

namespace bertcram::optim {
namespace {

using test::near;
using test::same_bits;

constexpr int64_t kDecayed = 32;  // one aligned stretch each
constexpr int64_t kAll = 64;

nn::Parameters make_parameters(at::ScalarType type = at::kFloat) {
  return nn::Parameters({{.leaf = "w", .parts = {"w"}, .shape = {kDecayed}},
                         {.leaf = "b", .parts = {"b"}, .shape = {kAll - kDecayed}, .group = nn::Group::kVector}},
                        type, at::kCPU);
}

/// Loshchilov & Hutter 2019, algorithm 2, with the global norm clipped before.
struct PlainAdamW {
  config::OptimConfig config;
  std::vector<double> weights;
  std::vector<double> first = std::vector<double>(kAll);
  std::vector<double> second = std::vector<double>(kAll);
  int steps = 0;

  double step(const std::vector<double>& gradient_sum, double rate, double divisor) {
    ++steps;
    double squares = 0;
    for (const double g : gradient_sum) {
      squares += g / divisor * (g / divisor);
    }
    const double norm = std::sqrt(squares);
    const double scale = config.clip_norm > 0 && norm > config.clip_norm ? config.clip_norm / norm : 1.0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const double g = gradient_sum[i] / divisor * scale;
      const double decay = i < static_cast<size_t>(kDecayed) ? config.weight_decay : 0.0;
      weights[i] -= rate * decay * weights[i];
      first[i] = config.beta1 * first[i] + (1 - config.beta1) * g;
      second[i] = config.beta2 * second[i] + (1 - config.beta2) * g * g;
      const double mean = first[i] / (1 - std::pow(config.beta1, steps));
      const double spread = second[i] / (1 - std::pow(config.beta2, steps));
      weights[i] -= rate * mean / (std::sqrt(spread) + config.epsilon);
    }
    return norm;
  }
};

at::Tensor as_tensor(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

void compare_over_steps(const config::OptimConfig& config, uint64_t seed) {
  util::RandomStream random(seed);
  nn::Parameters parameters = make_parameters();
  Optimizer optimizer(parameters, config);
  PlainAdamW plain{.config = config, .weights = {}};
  for (int64_t i = 0; i < kAll; ++i) {
    plain.weights.push_back(2 * random.uniform() - 1);
  }
  parameters.masters().copy_(as_tensor(plain.weights));
  for (int step = 0; step < 8; ++step) {
    std::vector<double> gradient;
    for (int64_t i = 0; i < kAll; ++i) {
      gradient.push_back((2 * random.uniform() - 1) * std::pow(10.0, step - 3));  // below and above the clipping norm
    }
    parameters.gradients().copy_(as_tensor(gradient));
    const double rate = 0.01 * (step + 1);
    const double divisor = 3.0 + step;
    const double norm = plain.step(gradient, rate, divisor);
    const StepReport report = optimizer.step(rate, divisor);
    EXPECT_TRUE(report.is_finite);
    EXPECT_NEAR(report.gradient_norm, norm, 1e-5 * norm);
    EXPECT_TRUE(near(parameters.masters(), as_tensor(plain.weights), 2e-6)) << "step " << step;
    EXPECT_EQ(parameters.gradients().abs().max().item<double>(), 0.0);
  }
  EXPECT_TRUE(near(optimizer.first_moments(), as_tensor(plain.first), 1e-5 * std::max(1.0, config.clip_norm)));
  EXPECT_EQ(optimizer.steps_done(), 8);
}

/// 100,003 numbers each, so that several threads and an odd end are met, after three steps.
struct AfterSteps {
  nn::Parameters parameters;
  at::Tensor first, second;
};

AfterSteps after_steps(at::ScalarType type, bool is_fused) {
  const test::WithFusing fusing(is_fused ? nn::Fusing::kEverywhere : nn::Fusing::kOff);
  constexpr int64_t kMany = 100'003;
  AfterSteps result = {
      .parameters = nn::Parameters({{.leaf = "w", .parts = {"w"}, .shape = {kMany}},
                                    {.leaf = "t", .parts = {"t"}, .shape = {kMany}, .group = nn::Group::kTable},
                                    {.leaf = "b", .parts = {"b"}, .shape = {kMany}, .group = nn::Group::kVector}},
                                   type, at::kCPU),
      .first = {},
      .second = {}};
  Optimizer optimizer(result.parameters, {.clip_norm = 1.0});
  util::RandomStream random(7);
  const int64_t all = result.parameters.masters().numel();
  result.parameters.masters().copy_(test::random_tensor(random, {all}));
  for (int step = 0; step < 3; ++step) {
    result.parameters.gradients().copy_(test::random_tensor(random, {all}));
    optimizer.step(0.01, 4.0);
  }
  result.first = optimizer.first_moments();
  result.second = optimizer.second_moments();
  return result;
}

TEST(AdamWProperty, OnePassEqualsLibTorchsOperations) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    SCOPED_TRACE(c10::toString(type));
    AfterSteps fused = after_steps(type, true);
    AfterSteps plain = after_steps(type, false);
    EXPECT_TRUE(near(fused.parameters.masters(), plain.parameters.masters(), 1e-6));
    EXPECT_TRUE(near(fused.first, plain.first, 1e-7));
    EXPECT_TRUE(near(fused.second, plain.second, 1e-9));
    EXPECT_TRUE(same_bits(fused.parameters.compute_copy(), fused.parameters.masters().to(type)));
    EXPECT_EQ(fused.parameters.gradients().abs().max().item<double>(), 0.0);
  }
}

// Kernels keep what they made of a weight by its version counter.
TEST(AdamWTest, AnUpdateMovesTheVersionOfEveryLeaf) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    nn::Parameters parameters = make_parameters(type);
    Optimizer optimizer(parameters, {});
    const auto version = [&] {
      return parameters.leaf("w").unsafeGetTensorImpl()->version_counter().current_version();
    };
    const auto before = version();
    parameters.gradients().fill_(1.0);
    optimizer.step(0.1, 1.0);
    EXPECT_GT(version(), before);
  }
}

TEST(AdamWProperty, EqualsAPlainLoopWithClippingDecayAndBiasCorrection) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  compare_over_steps({}, seed);
  compare_over_steps({.beta1 = 0.5, .beta2 = 0.9, .epsilon = 1e-3, .weight_decay = 0.3, .clip_norm = 2.0}, seed + 1);
  compare_over_steps({.beta1 = 0.0, .beta2 = 0.99, .weight_decay = 0.0, .clip_norm = 1e-3}, seed + 2);
}

TEST(AdamW, TheFirstStepMovesByTheLearningRateByHand) {
  // Bias correction makes mean / sqrt(spread) the gradient's sign; decay takes rate * 0.1 of the weight before.
  nn::Parameters parameters = make_parameters();
  Optimizer optimizer(parameters, {.epsilon = 1e-12, .weight_decay = 0.1, .clip_norm = 0.0});
  parameters.masters().fill_(1.0);
  parameters.gradients().fill_(-5.0);
  optimizer.step(0.01, 1.0);
  EXPECT_TRUE(near(parameters.leaf("w"), at::full({kDecayed}, 1 - 0.001 + 0.01), 1e-6));
  EXPECT_TRUE(near(parameters.leaf("b"), at::full({kAll - kDecayed}, 1 + 0.01), 1e-6));
}

TEST(AdamW, TheDivisorScalesTheGradient) {
  nn::Parameters one = make_parameters();
  nn::Parameters two = make_parameters();
  Optimizer first(one, {.clip_norm = 0.0});
  Optimizer second(two, {.clip_norm = 0.0});
  one.gradients().fill_(0.25);
  two.gradients().fill_(2.0);
  EXPECT_DOUBLE_EQ(first.step(0.1, 1.0).gradient_norm, 0.25 * 8);
  EXPECT_DOUBLE_EQ(second.step(0.1, 8.0).gradient_norm, 0.25 * 8);
  EXPECT_TRUE(same_bits(one.masters(), two.masters()));
  EXPECT_TRUE(same_bits(first.second_moments(), second.second_moments()));
}

TEST(AdamW, ANonFiniteGradientIsReportedAndChangesNothing) {
  for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    nn::Parameters parameters = make_parameters();
    Optimizer optimizer(parameters, {});
    parameters.masters().fill_(1.0);
    parameters.gradients().fill_(1.0);
    optimizer.step(0.1, 1.0);
    const at::Tensor weights = parameters.masters().clone();
    const at::Tensor first = optimizer.first_moments().clone();
    const at::Tensor second = optimizer.second_moments().clone();
    parameters.gradients().fill_(1.0);
    parameters.gradients()[40] = bad;
    EXPECT_FALSE(optimizer.step(0.1, 1.0).is_finite);
    EXPECT_EQ(optimizer.steps_done(), 1);
    EXPECT_TRUE(same_bits(parameters.masters(), weights));
    EXPECT_TRUE(same_bits(optimizer.first_moments(), first));
    EXPECT_TRUE(same_bits(optimizer.second_moments(), second));
    EXPECT_EQ(parameters.gradients().abs().max().item<double>(), 0.0) << "the next step starts clean";
  }
}

// One sum of squares in fp32 would be 1 % too small.
TEST(AdamW, TheNormOfManyNumbersIsExact) {
  constexpr int64_t kMany = (int64_t{1} << 24) + 100;
  nn::Parameters parameters({{.leaf = "w", .parts = {"w"}, .shape = {kMany}}}, at::kFloat, at::kCPU);
  Optimizer optimizer(parameters, {});
  parameters.gradients().fill_(1e-3);
  const double expected = 1e-3 * std::sqrt(static_cast<double>(parameters.gradients().numel()));
  EXPECT_NEAR(optimizer.step(0.1, 1.0).gradient_norm / expected, 1.0, 1e-5);
}

TEST(AdamW, RefreshesTheComputeCopyAndKeepsSmallUpdatesInTheMasters) {
  nn::Parameters parameters = make_parameters(at::kBFloat16);
  Optimizer optimizer(parameters, {.weight_decay = 0.0});
  parameters.masters().fill_(1.0);
  parameters.sync_compute();
  for (int step = 0; step < 100; ++step) {  // each far below the 1/256 that bf16 resolves near 1
    parameters.gradients().fill_(1.0);
    optimizer.step(1e-4, 1.0);
  }
  EXPECT_TRUE(near(parameters.masters(), at::full({kAll}, 0.99), 1e-4));
  EXPECT_TRUE(near(parameters.leaf("w"), at::full({kDecayed}, 0.99), 0.004));
  EXPECT_TRUE(same_bits(parameters.leaf("w"), parameters.master_leaf("w").to(at::kBFloat16)));
}

}  // namespace
}  // namespace bertcram::optim
