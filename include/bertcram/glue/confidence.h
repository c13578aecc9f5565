#pragma once
// How far a dev score can be trusted: bootstrap intervals, and what the predictions are made of.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "bertcram/glue/metrics.h"

namespace bertcram::glue {

/// On the scale of the metric.
struct Interval {
  double low = 0;
  double high = 0;
};

/// Metric name → interval.
using MetricIntervals = std::map<std::string, Interval, std::less<>>;

/// The middle 95 % of the metrics of 1,000 samples of as many examples, drawn with replacement (Efron & Tibshirani 1993,
/// §13.3): how much a score would move with another dev set of this size, the model being the same. A pure function of its
/// arguments. Preconditions as compute_metrics.
MetricIntervals bootstrap_intervals(const TaskSpec& task, std::span<const int32_t> predictions,
                                    std::span<const int32_t> labels);
MetricIntervals bootstrap_intervals(const TaskSpec& task, std::span<const float> predictions,
                                    std::span<const float> targets);

/// Of one class.
struct ClassCounts {
  int64_t examples = 0;   ///< that have this label
  int64_t predicted = 0;  ///< that were given it
  int64_t correct = 0;    ///< both
};

/// @param classes  labels and predictions are in [0, classes)
std::vector<ClassCounts> count_classes(int64_t classes, std::span<const int32_t> predictions,
                                       std::span<const int32_t> labels);

}  // namespace bertcram::glue
