// Learning rate and budget, by hand.

#include "bertcram/train/schedule.h"

#include <gtest/gtest.h>

#include "bertcram/util/error.h"

namespace bertcram::train {
namespace {

TEST(LearningRate, GoesUpToThePeakAndDownLinearly) {
  const config::ScheduleConfig schedule{.warmup_frac = 0.2};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1e-3, 0.0), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1e-3, 0.05), 0.25e-3);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1e-3, 0.2), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1e-3, 0.6), 0.5e-3);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1e-3, 1.0), 0.0);
}

TEST(LearningRate, StartAndEndAreSharesOfThePeak) {
  const config::ScheduleConfig schedule{.warmup_frac = 0.5, .start_frac = 0.2, .end_frac = 0.1};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 2.0, 0.0), 0.4);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 2.0, 0.25), 1.2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 2.0, 0.75), 1.1);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 2.0, 1.0), 0.2);
}

TEST(LearningRate, CosineIsHalfwayInTheMiddleAndFlatAtTheEnds) {
  const config::ScheduleConfig schedule{.warmup_frac = 0.0, .end_frac = 0.1, .anneal = config::Anneal::kCosine};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 0.5), 0.55);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 1.0), 0.1);
  EXPECT_NEAR(learning_rate(schedule, 1.0, 0.25), 0.1 + 0.9 * 0.8535533905932737, 1e-12);
}

TEST(LearningRate, AllWarmUpOrNoneAndSharesOutsideAreFine) {
  EXPECT_DOUBLE_EQ(learning_rate({.warmup_frac = 1.0}, 1.0, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate({.warmup_frac = 1.0}, 1.0, 0.5), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate({.warmup_frac = 0.0}, 1.0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate({.warmup_frac = 0.1}, 1.0, 1.7), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate({.warmup_frac = 0.1}, 1.0, -1.0), 0.0);
}

TEST(LearningRate, StaysAtThePeakWhileItIsHeld) {
  const config::ScheduleConfig schedule{.warmup_frac = 0.1, .hold_frac = 0.6};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 0.05), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 0.1), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 0.7), 1.0);
  EXPECT_NEAR(learning_rate(schedule, 1.0, 0.85), 0.5, 1e-12);
  EXPECT_NEAR(learning_rate(schedule, 1.0, 1.0), 0.0, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate({.warmup_frac = 0.2, .hold_frac = 0.8}, 1.0, 1.0), 1.0) << "no way down at all";
}

TEST(LearningRate, OneMinusSquareRoot) {
  const config::ScheduleConfig schedule{.warmup_frac = 0.0, .hold_frac = 0.2, .anneal = config::Anneal::kSqrt};
  EXPECT_NEAR(learning_rate(schedule, 1.0, 0.4), 0.5, 1e-12);  // a quarter of the way down
  EXPECT_NEAR(learning_rate(schedule, 1.0, 1.0), 0.0, 1e-12);
}

TEST(MaskProbAt, IsLinearInTheShareOfTheBudget) {
  const config::MaskConfig mask{.mask_prob = 0.30, .end_mask_prob = 0.15};
  EXPECT_DOUBLE_EQ(mask_prob_at(mask, 0.0), 0.30);
  EXPECT_DOUBLE_EQ(mask_prob_at(mask, 1.0 / 3), 0.25);
  EXPECT_DOUBLE_EQ(mask_prob_at(mask, 1.0), 0.15);
  EXPECT_DOUBLE_EQ(mask_prob_at({.mask_prob = 0.2}, 0.9), 0.2) << "no other end";
}

TEST(NextStepSettings, AreReadInTheMiddleOfTheStep) {
  config::PretrainConfig config;
  config.optim.learning_rate = 1.0;
  config.schedule = {.warmup_frac = 0.0};
  config.batch = {.rows = 8, .start_rows = 2, .ramp_frac = 0.5};
  config.mask = {.mask_prob = 0.3, .end_mask_prob = 0.1};
  config.budget.tokens = 1000;
  const Budget budget(config.budget);
  const StepSettings first = next_step_settings(config, budget, {}, 10);
  EXPECT_EQ(first.rows, 2);
  EXPECT_DOUBLE_EQ(first.learning_rate, 0.99);  // 20 tokens: at 1 % of the budget
  EXPECT_DOUBLE_EQ(first.mask_prob, 0.298);
  const StepSettings late = next_step_settings(config, budget, {.tokens = 800}, 10);
  EXPECT_EQ(late.rows, 8);
  EXPECT_NEAR(late.learning_rate, 0.16, 1e-12);
}

TEST(Budget, AStepOfATimeBudgetIsReadInItsMiddle) {
  const Budget budget({.time = "100s"});
  EXPECT_DOUBLE_EQ(budget.share_for_step({.seconds = 40, .step_seconds = 10}, 99), 0.45);
  EXPECT_DOUBLE_EQ(budget.share({.seconds = 40, .step_seconds = 10}), 0.4);
  EXPECT_DOUBLE_EQ(budget.share_for_step({.seconds = 99, .step_seconds = 10}, 99), 1.0);
}

TEST(Budget, ReservesTimeForWhatFollowsOnTheLastStep) {
  Budget budget({.time = "100s"});
  budget.reserve(10);
  EXPECT_DOUBLE_EQ(budget.share({.seconds = 45}), 0.5);
  EXPECT_TRUE(budget.is_spent({.seconds = 90}));
  budget.reserve(60);
  EXPECT_TRUE(budget.is_spent({.seconds = 75})) << "a quarter at most";
  EXPECT_FALSE(budget.is_spent({.seconds = 74}));
  Budget steps({.steps = 4});
  steps.reserve(1000);
  EXPECT_DOUBLE_EQ(steps.share({.steps = 1}), 0.25);
}

TEST(Budget, IsOfOneKind) {
  EXPECT_THROW(Budget({}), InternalError);
  EXPECT_THROW(Budget({.steps = 4, .tokens = 1000}), InternalError);
  EXPECT_THROW(Budget({.time = "1h", .steps = 4}), InternalError);
  EXPECT_THROW(Budget({.time = "1h", .tokens = 1000}), InternalError);
}

TEST(Budget, OfSteps) {
  const Budget budget({.steps = 4});
  EXPECT_DOUBLE_EQ(budget.share({.steps = 1, .tokens = 99, .seconds = 99}), 0.25);
  EXPECT_FALSE(budget.is_spent({.steps = 3}));
  EXPECT_TRUE(budget.is_spent({.steps = 4}));
  EXPECT_DOUBLE_EQ(budget.share({.steps = 9}), 1.0);
  EXPECT_DOUBLE_EQ(budget.share_for_step({.steps = 0}, 100), 0.125);
  EXPECT_DOUBLE_EQ(budget.share_for_step({.steps = 3}, 100), 0.875);
}

TEST(Budget, OfTokens) {
  const Budget budget({.tokens = 1000});
  EXPECT_DOUBLE_EQ(budget.share({.steps = 99, .tokens = 250}), 0.25);
  EXPECT_DOUBLE_EQ(budget.share_for_step({.tokens = 250}, 100), 0.3);
  EXPECT_FALSE(budget.is_spent({.tokens = 999}));
  EXPECT_TRUE(budget.is_spent({.tokens = 1001}));
  EXPECT_DOUBLE_EQ(budget.share_for_step({.tokens = 990}, 100), 1.0);
}

TEST(Budget, OfTime) {
  const Budget budget({.time = "1m30s"});
  EXPECT_DOUBLE_EQ(budget.share({.steps = 99, .tokens = 99, .seconds = 45}), 0.5);
  EXPECT_DOUBLE_EQ(budget.share_for_step({.seconds = 45}, 100), 0.5);
  EXPECT_TRUE(budget.is_spent({.seconds = 90}));
}

}  // namespace
}  // namespace bertcram::train
