#include "bertcram/glue/confidence.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bertcram/glue/task.h"
#include "bertcram/util/error.h"
#include "bertcram/util/random.h"

namespace bertcram::glue {
namespace {

/// So many of `size` predictions of class 1 are right.
std::pair<std::vector<int32_t>, std::vector<int32_t>> right_by(size_t right, size_t size) {
  std::vector<int32_t> labels(size, 1);
  std::vector<int32_t> predictions(size, 0);
  std::fill_n(predictions.begin(), right, 1);
  return {predictions, labels};
}

TEST(Confidence, OfAnAccuracyIsNearlyTheBinomialInterval) {
  const auto [predictions, labels] = right_by(204, 277);  // RTE's dev set
  const Interval interval = bootstrap_intervals(find_task("rte"), predictions, labels).at("accuracy");
  const double share = 204.0 / 277;
  const double half = 1.96 * std::sqrt(share * (1 - share) / 277);
  EXPECT_NEAR(interval.low, share - half, 0.006);
  EXPECT_NEAR(interval.high, share + half, 0.006);
}

TEST(Confidence, IsAPureFunctionAndHasEveryMetric) {
  const auto [predictions, labels] = right_by(30, 50);
  const auto first = bootstrap_intervals(find_task("mrpc"), predictions, labels);
  const auto second = bootstrap_intervals(find_task("mrpc"), predictions, labels);
  ASSERT_EQ(first.size(), 3U);
  for (const auto& [name, interval] : first) {
    EXPECT_EQ(second.at(name).low, interval.low) << name;
    EXPECT_EQ(second.at(name).high, interval.high) << name;
    EXPECT_LT(interval.low, interval.high) << name;
  }
}

TEST(Confidence, OfAPerfectOrConstantPredictionHasNoWidth) {
  const auto [predictions, labels] = right_by(20, 20);
  const Interval interval = bootstrap_intervals(find_task("sst2"), predictions, labels).at("accuracy");
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 1);
  const std::vector<float> constant(12, 2.5F);
  const std::vector<float> targets = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5};
  const Interval pearson = bootstrap_intervals(find_task("stsb"), constant, targets).at("pearson");
  EXPECT_EQ(pearson.low, 0);
  EXPECT_EQ(pearson.high, 0);
}

// The interval of a correlation of n pairs by Fisher's transformation.
TEST(Confidence, OfACorrelationIsNearlyFishers) {
  util::RandomStream random(17);
  std::vector<float> predictions;
  std::vector<float> targets;
  for (int i = 0; i < 400; ++i) {
    const double common = random.uniform() + random.uniform() + random.uniform();
    predictions.push_back(static_cast<float>(common + random.uniform()));
    targets.push_back(static_cast<float>(common + random.uniform()));
  }
  const double r =
      compute_metrics(find_task("stsb"), std::span<const float>(predictions), std::span<const float>(targets))
          .at("pearson");
  const Interval interval = bootstrap_intervals(find_task("stsb"), predictions, targets).at("pearson");
  EXPECT_NEAR(interval.low, std::tanh(std::atanh(r) - 1.96 / std::sqrt(397.0)), 0.015);
  EXPECT_NEAR(interval.high, std::tanh(std::atanh(r) + 1.96 / std::sqrt(397.0)), 0.015);
}

TEST(Confidence, CountsClassesByHand) {
  const std::vector<int32_t> predictions = {0, 1, 1, 2, 0};
  const std::vector<int32_t> labels = {0, 1, 0, 1, 0};
  const auto counts = count_classes(3, predictions, labels);
  ASSERT_EQ(counts.size(), 3U);
  const auto same = [](const ClassCounts& a, int64_t examples, int64_t predicted, int64_t correct) {
    return a.examples == examples && a.predicted == predicted && a.correct == correct;
  };
  EXPECT_TRUE(same(counts[0], 3, 2, 2));
  EXPECT_TRUE(same(counts[1], 2, 2, 1));
  EXPECT_TRUE(same(counts[2], 0, 1, 0));
}

TEST(Confidence, UnequalOrNoInputIsOurMistake) {
  EXPECT_THROW(bootstrap_intervals(find_task("rte"), std::vector<int32_t>{}, std::vector<int32_t>{}), InternalError);
  EXPECT_THROW(bootstrap_intervals(find_task("rte"), std::vector<int32_t>{1, 0}, std::vector<int32_t>{1}),
               InternalError);
  EXPECT_THROW(bootstrap_intervals(find_task("stsb"), std::vector<float>{1}, std::vector<float>{1, 0}), InternalError);
}

}  // namespace
}  // namespace bertcram::glue
