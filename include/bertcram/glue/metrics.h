#pragma once
// The scores GLUE tasks are judged by, equal to scikit-learn's and SciPy's (tests/glue/metrics_golden.json).
// Pure functions; they never log.

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::glue {

struct TaskSpec;

/// What a prediction is judged by.
enum class Metric {
  kAccuracy,
  kF1,        ///< binary, class 1 is the positive one
  kMatthews,  ///< Matthews correlation; for more than two classes Gorodkin's R_k
  kPearson,
  kSpearman,
  kAccuracyF1Mean,  ///< mean of accuracy and F1, as MosaicBERT reports MRPC and QQP
};

/// The metric's name in task files and results.json: "accuracy", "f1", "matthews", "pearson", "spearman",
/// "accuracy_f1_mean".
std::string_view metric_name(Metric metric);

/// The inverse of metric_name. @throws ConfigError that names the nearest metric
Metric parse_metric(std::string_view name);

/// All names that parse_metric takes.
std::vector<std::string> metric_names();

/// Metric name → value. As computed: 0..1, correlations -1..1 (to_score_points turns them into 0..100).
using MetricValues = std::map<std::string, double, std::less<>>;

/// Share of equal entries, 0..1. REQUIRES, as all functions below: equal sizes, at least one entry (else InternalError).
double accuracy(std::span<const int32_t> predictions, std::span<const int32_t> labels);

/// F1 of class 1, 0..1; 0 when class 1 is neither predicted nor present (scikit-learn's zero_division=0).
double f1(std::span<const int32_t> predictions, std::span<const int32_t> labels);

/// Matthews correlation, -1..1, from exact integer counts; 0 when predictions or labels are constant, as in scikit-learn.
/// Labels may be any non-negative ids.
double matthews(std::span<const int32_t> predictions, std::span<const int32_t> labels);

/// Pearson correlation, -1..1. Returns 0 when either side is constant, where SciPy gives nan: a model that predicts one
/// score for everything has earned none, and JSON has no nan. Non-finite input gives nan.
double pearson(std::span<const double> predictions, std::span<const double> targets);

/// Spearman correlation: Pearson of the ranks, equal values sharing their average rank. 0 when either side is constant
/// (SciPy: nan). Values must be finite.
double spearman(std::span<const double> predictions, std::span<const double> targets);

/// 1-based ranks of the values; equal values share the average of the ranks they cover.
std::vector<double> average_ranks(std::span<const double> values);

/// All metrics of a classification task.
MetricValues compute_metrics(const TaskSpec& task, std::span<const int32_t> predictions,
                             std::span<const int32_t> labels);

/// All metrics of a regression task.
/// @throws DivergedError if a prediction is not a finite number
MetricValues compute_metrics(const TaskSpec& task, std::span<const float> predictions, std::span<const float> targets);

/// The same metrics times 100, as results.json and the printed table state them.
MetricValues to_score_points(const MetricValues& values);

}  // namespace bertcram::glue
