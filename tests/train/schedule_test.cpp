// Learning rate and budget, by hand.

#include "bertcram/train/schedule.h"

#include <gtest/gtest.h>

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
