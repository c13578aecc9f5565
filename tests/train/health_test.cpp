#include "train/health.h"

#include <gtest/gtest.h>

#include "util/log_file.h"

namespace bertcram::train {
namespace {

TEST(SkipCounter, CountsSkippedStepsInARow) {
  SkipCounter skips(3);
  EXPECT_FALSE(skips.after_step(StepOutcome::kNotFinite));
  EXPECT_FALSE(skips.after_step(StepOutcome::kNotFinite));
  EXPECT_FALSE(skips.after_step(StepOutcome::kDone)) << "starts again";
  EXPECT_FALSE(skips.after_step(StepOutcome::kNotFinite));
  EXPECT_FALSE(skips.after_step(StepOutcome::kScaleOverflow)) << "neither one more nor a good step";
  EXPECT_FALSE(skips.after_step(StepOutcome::kNotFinite));
  EXPECT_EQ(skips.in_a_row(), 2);
  EXPECT_TRUE(skips.after_step(StepOutcome::kNotFinite));
  skips.reset();
  EXPECT_FALSE(skips.after_step(StepOutcome::kNotFinite));
}

TEST(SkipCounter, OneMayBeTooMany) { EXPECT_TRUE(SkipCounter(1).after_step(StepOutcome::kNotFinite)); }

TEST(SlowStepDetector, SaysHowManyTimesTheMedianASlowStepTook) {
  SlowStepDetector detector;
  for (int step = 0; step < 32; ++step) {
    EXPECT_FALSE(detector.after_step(step % 2 == 0 ? 1.0 : 1.2));
  }
  EXPECT_FALSE(detector.after_step(3.0)) << "not three times the median";
  const auto times = detector.after_step(6.0);
  ASSERT_TRUE(times);
  EXPECT_NEAR(*times, 5.0, 1e-9);
}

TEST(SlowStepDetector, KnowsNothingAtFirstAndDoesNotRepeatItself) {
  SlowStepDetector detector;
  EXPECT_FALSE(detector.after_step(1.0));
  EXPECT_FALSE(detector.after_step(100.0));
  int warnings = 0;
  for (int step = 0; step < 300; ++step) {
    warnings += detector.after_step(step % 20 == 19 ? 50.0 : 1.0) ? 1 : 0;
  }
  EXPECT_EQ(warnings, 2);
}

TEST(StallDetector, WarnsOnceWhereAFifthOfTheTimeIsSpentOnWaiting) {
  StallDetector quick;
  StallDetector stalled;
  int warnings = 0;
  for (int step = 1; step <= 128; ++step) {
    EXPECT_FALSE(quick.after_step(0.19, 1.0));
    const auto share = stalled.after_step(step % 2 == 0 ? 0.6 : 0.0, 1.0);
    EXPECT_EQ(share.has_value(), step == 32) << step;
    warnings += share ? 1 : 0;
    EXPECT_NEAR(share.value_or(0.3), 0.3, 1e-12);
  }
  EXPECT_EQ(warnings, 1);
}

TEST(HealthWatch, CountsWhatIsSkippedAndSaysWhenToGoBack) {
  HealthWatch health({.max_skipped_steps = 2});
  checkpoint::TrainState position;
  const StepFigures good = {.tokens = 8};
  const StepFigures bad = {.tokens = 8, .outcome = StepOutcome::kNotFinite};
  EXPECT_FALSE(health.after_step(bad, 1.0, position));
  EXPECT_TRUE(health.is_ill());
  EXPECT_FALSE(health.after_step(good, 1.0, position));
  EXPECT_FALSE(health.is_ill());
  EXPECT_FALSE(health.after_step(bad, 1.0, position));
  EXPECT_TRUE(health.after_step(bad, 1.0, position));
  EXPECT_EQ(position.skipped_steps, 3);
  health.has_gone_back();
  EXPECT_FALSE(health.is_ill());
}

TEST(HealthWatch, WarnsOnceOfALossOnTheUnigramPlateau) {
  const test::LogFile log;
  HealthWatch health({.max_skipped_steps = 2});
  const std::string warning = "barely better than that of guessing by the frequency of tokens";
  health.after_evaluation(/*held_out_loss=*/5.0, /*unigram_entropy=*/7.0, /*steps=*/100, /*share=*/0.5);
  EXPECT_FALSE(test::contains(log.text(), warning)) << "it is learning";
  health.after_evaluation(7.0, 7.0, 100, 0.1);
  EXPECT_FALSE(test::contains(log.text(), warning)) << "too early to worry";
  health.after_evaluation(7.0, 7.0, 100, 0.5);
  health.after_evaluation(7.0, 7.0, 200, 0.6);
  const std::string text = log.text();
  EXPECT_TRUE(test::contains(text, warning));
  EXPECT_EQ(text.find(warning), text.rfind(warning)) << text;
}

TEST(UnigramPlateau, IsALossNearTheEntropyLateEnough) {
  EXPECT_TRUE(is_on_unigram_plateau(7.0, 7.0, 100, 0.2));
  EXPECT_TRUE(is_on_unigram_plateau(6.9, 7.0, 100, 0.9));
  EXPECT_FALSE(is_on_unigram_plateau(6.9, 7.0, 5000, 0.19)) << "too early to worry";
  EXPECT_FALSE(is_on_unigram_plateau(6.9, 7.0, 99, 0.9)) << "so few steps say nothing";
  EXPECT_FALSE(is_on_unigram_plateau(6.7, 7.0, 5000, 0.9)) << "it is learning";
}

}  // namespace
}  // namespace bertcram::train
