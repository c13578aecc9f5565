#include "bertcram/glue/confidence.h"

#include <algorithm>
#include <cmath>

#include "bertcram/glue/task.h"
#include "bertcram/util/error.h"
#include "bertcram/util/random.h"

namespace bertcram::glue {
namespace {

constexpr size_t kResamples = 1000;
constexpr double kTail = 0.025;

/// The value below which this share of them lies, interpolated between neighbours.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(place));
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

template <class Value>
MetricIntervals intervals_of(const TaskSpec& task, std::span<const Value> predictions, std::span<const Value> truth) {
  BC_CHECK(predictions.size() == truth.size() && !truth.empty(), predictions.size(), " and ", truth.size());
  std::map<std::string, std::vector<double>, std::less<>> samples;
  std::vector<Value> drawn_predictions(truth.size());
  std::vector<Value> drawn_truth(truth.size());
  util::RandomStream random(0, util::RandomPurpose::kBootstrap, {truth.size()});
  for (size_t sample = 0; sample < kResamples; ++sample) {
    for (size_t i = 0; i < truth.size(); ++i) {
      const size_t chosen = random.below(truth.size());
      drawn_predictions[i] = predictions[chosen];
      drawn_truth[i] = truth[chosen];
    }
    for (const auto& [name, value] :
         compute_metrics(task, std::span<const Value>(drawn_predictions), std::span<const Value>(drawn_truth))) {
      samples[name].push_back(value);
    }
  }
  MetricIntervals intervals;
  for (auto& [name, values] : samples) {
    std::ranges::sort(values);
    intervals[name] = {.low = quantile(values, kTail), .high = quantile(values, 1 - kTail)};
  }
  return intervals;
}

}  // namespace

MetricIntervals bootstrap_intervals(const TaskSpec& task, std::span<const int32_t> predictions,
                                    std::span<const int32_t> labels) {
  return intervals_of(task, predictions, labels);
}

MetricIntervals bootstrap_intervals(const TaskSpec& task, std::span<const float> predictions,
                                    std::span<const float> targets) {
  return intervals_of(task, predictions, targets);
}

std::vector<ClassCounts> count_classes(int64_t classes, std::span<const int32_t> predictions,
                                       std::span<const int32_t> labels) {
  std::vector<ClassCounts> counts(static_cast<size_t>(classes));
  for (size_t i = 0; i < labels.size(); ++i) {
    ++counts.at(static_cast<size_t>(labels[i])).examples;
    ++counts.at(static_cast<size_t>(predictions[i])).predicted;
    counts[static_cast<size_t>(labels[i])].correct += predictions[i] == labels[i] ? 1 : 0;
  }
  return counts;
}

}  // namespace bertcram::glue
