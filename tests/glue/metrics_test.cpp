#include "bertcram/glue/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "bertcram/glue/task.h"
#include "bertcram/util/random.h"
#include "scratch.h"
#include "util/source_dir.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;
using Ids = std::vector<int32_t>;
using Scores = std::vector<double>;

TEST(Metrics, AgreeWithValuesWorkedOutByHand) {
  const Ids predictions = {1, 1, 0, 0, 1};
  const Ids labels = {1, 0, 0, 1, 1};  // 2 true and 1 false positives, 1 true and 1 false negatives
  EXPECT_DOUBLE_EQ(accuracy(predictions, labels), 0.6);
  EXPECT_DOUBLE_EQ(f1(predictions, labels), 4.0 / 6.0);
  EXPECT_DOUBLE_EQ(matthews(predictions, labels), 1.0 / 6.0);
  EXPECT_NEAR(pearson(Scores{1, 2, 3}, Scores{1, 2, 4}), 3.0 / std::sqrt(2.0 * 14.0 / 3.0), 1e-15);
  EXPECT_NEAR(spearman(Scores{10, 20, 30, 40}, Scores{1, 3, 2, 4}), 0.8, 1e-15);
}

TEST(Metrics, EqualValuesShareTheirAverageRank) {
  EXPECT_EQ(average_ranks(Scores{5, 1, 5, 5, 0}), (Scores{4, 2, 4, 4, 1}));
  EXPECT_EQ(average_ranks(Scores{}), Scores{});
}

TEST(Metrics, AConstantPredictionEarnsNoCorrelation) {
  EXPECT_EQ(matthews(Ids{1, 1, 1}, Ids{0, 1, 0}), 0.0);
  EXPECT_EQ(f1(Ids{0, 0}, Ids{0, 0}), 0.0);
  EXPECT_EQ(pearson(Scores{0.1, 0.1, 0.1}, Scores{1, 2, 3}), 0.0);
  EXPECT_EQ(spearman(Scores{1, 2, 3}, Scores{2, 2, 2}), 0.0);
}

TEST(MetricsGolden, AgreeWithScikitLearnAndSciPy) {
  std::ifstream file(test::source_dir() / "tests/glue/metrics_golden.json");
  const auto golden = nlohmann::json::parse(file);
  ASSERT_GE(golden["classification"].size() + golden["regression"].size(), 30U);
  for (const auto& item : golden["classification"]) {
    SCOPED_TRACE(item["name"]);
    const auto predictions = item["predictions"].get<Ids>();
    const auto labels = item["labels"].get<Ids>();
    EXPECT_NEAR(accuracy(predictions, labels), item["expected"]["accuracy"].get<double>(), 1e-12);
    EXPECT_NEAR(matthews(predictions, labels), item["expected"]["matthews"].get<double>(), 1e-12);
    if (item["expected"].contains("f1")) {
      EXPECT_NEAR(f1(predictions, labels), item["expected"]["f1"].get<double>(), 1e-12);
    }
  }
  const auto or_zero = [](const nlohmann::json& value) { return value.is_null() ? 0.0 : value.get<double>(); };
  for (const auto& item : golden["regression"]) {
    SCOPED_TRACE(item["name"]);
    const auto predictions = item["predictions"].get<Scores>();
    const auto targets = item["targets"].get<Scores>();
    EXPECT_NEAR(pearson(predictions, targets), or_zero(item["expected"]["pearson"]), 1e-12);
    EXPECT_NEAR(spearman(predictions, targets), or_zero(item["expected"]["spearman"]), 1e-12);
  }
}

double brute_matthews(const Ids& predictions, const Ids& labels) {
  double counts[2][2] = {};
  for (size_t i = 0; i < labels.size(); ++i) {
    counts[predictions[i]][labels[i]] += 1;
  }
  const double tp = counts[1][1], fp = counts[1][0], fn = counts[0][1], tn = counts[0][0];
  const double product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn);
  return product == 0 ? 0 : (tp * tn - fp * fn) / std::sqrt(product);
}

double brute_rank(const Scores& values, size_t index) {
  double below = 0, equal = 0;
  for (const double value : values) {
    below += value < values[index] ? 1 : 0;
    equal += value == values[index] ? 1 : 0;
  }
  return below + (equal + 1) / 2;
}

TEST(MetricsProperty, EqualTheirDefinitionsOnRandomInput) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    util::RandomStream rng(seed);
    const size_t count = 1 + rng.below(40);
    Ids predictions, labels;
    Scores values;
    for (size_t i = 0; i < count; ++i) {
      predictions.push_back(static_cast<int32_t>(rng.below(2)));
      labels.push_back(static_cast<int32_t>(rng.below(2)));
      values.push_back(static_cast<double>(rng.below(10)));
    }
    EXPECT_NEAR(matthews(predictions, labels), brute_matthews(predictions, labels), 1e-12);
    const Scores ranks = average_ranks(values);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(ranks[i], brute_rank(values, i));
    }
  }
}

TEST(Metrics, ATaskGetsAllItsMetricsByName) {
  const MetricValues mrpc = compute_metrics(find_task("mrpc"), Ids{1, 1, 0, 0, 1}, Ids{1, 0, 0, 1, 1});
  ASSERT_EQ(mrpc.size(), 3U);
  EXPECT_DOUBLE_EQ(mrpc.at("accuracy"), 0.6);
  EXPECT_DOUBLE_EQ(mrpc.at("f1"), 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(mrpc.at("accuracy_f1_mean"), (0.6 + 2.0 / 3.0) / 2);
  EXPECT_DOUBLE_EQ(to_score_points(mrpc).at("accuracy"), 60.0);
  const MetricValues stsb =
      compute_metrics(find_task("stsb"), std::vector<float>{1, 2, 3}, std::vector<float>{2, 4, 6});
  EXPECT_NEAR(stsb.at("pearson"), 1.0, 1e-12);
  EXPECT_NEAR(stsb.at("spearman"), 1.0, 1e-12);
}

TEST(Metrics, ADivergedRegressionIsAnErrorAndNotAScore) {
  const std::vector<float> predictions = {1, std::numeric_limits<float>::quiet_NaN()};
  const auto message = message_of<DivergedError>([&] {
    compute_metrics(find_task("stsb"), predictions, std::vector<float>{1, 2});
  });
  EXPECT_TRUE(contains(message, "task stsb: prediction 1 of 2"));
}

TEST(Metrics, UnequalOrNoInputIsOurMistake) {
  EXPECT_THROW(accuracy(Ids{1}, Ids{1, 0}), InternalError);
  EXPECT_THROW(pearson(Scores{}, Scores{}), InternalError);
}

TEST(Metrics, NamesReadBackAndMisspeltOnesAreCorrected) {
  for (const std::string& name : metric_names()) {
    EXPECT_EQ(metric_name(parse_metric(name)), name);
  }
  EXPECT_TRUE(contains(message_of<ConfigError>([] { parse_metric("acuracy"); }), "did you mean 'accuracy'?"));
}

}  // namespace
}  // namespace bertcram::glue
