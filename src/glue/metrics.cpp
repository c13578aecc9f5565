#include "bertcram/glue/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "bertcram/glue/task.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

constexpr std::array<std::pair<Metric, std::string_view>, 6> kNames = {{
    {Metric::kAccuracy, "accuracy"},
    {Metric::kF1, "f1"},
    {Metric::kMatthews, "matthews"},
    {Metric::kPearson, "pearson"},
    {Metric::kSpearman, "spearman"},
    {Metric::kAccuracyF1Mean, "accuracy_f1_mean"},
}};

void check_sizes(size_t predictions, size_t labels) {
  BC_CHECK(predictions == labels && labels > 0, predictions, " predictions, ", labels, " labels");
}

bool is_constant(std::span<const double> values) {
  return std::ranges::all_of(values, [&](double value) { return value == values.front(); });
}

/// The values minus their mean, divided by their norm: the form SciPy uses, which keeps precision for large means.
std::vector<double> standardised(std::span<const double> values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  std::vector<double> centred(values.begin(), values.end());
  double largest = 0;
  for (double& value : centred) {
    value -= mean;
    largest = std::max(largest, std::abs(value));
  }
  double squares = 0;
  for (double& value : centred) {
    value /= largest;  // the squares of tiny or huge values would underflow or overflow
    squares += value * value;
  }
  const double norm = std::sqrt(squares);
  for (double& value : centred) {
    value /= norm;
  }
  return centred;
}

std::vector<double> widen(std::span<const float> values) { return {values.begin(), values.end()}; }

double classification_metric(Metric metric, std::span<const int32_t> predictions, std::span<const int32_t> labels) {
  switch (metric) {
    case Metric::kAccuracy: return accuracy(predictions, labels);
    case Metric::kF1: return f1(predictions, labels);
    case Metric::kMatthews: return matthews(predictions, labels);
    case Metric::kAccuracyF1Mean: return (accuracy(predictions, labels) + f1(predictions, labels)) / 2;
    case Metric::kPearson:
    case Metric::kSpearman: break;
  }
  throw InternalError(cat("metric ", metric_name(metric), " asked of a classification task"));
}

double regression_metric(Metric metric, std::span<const double> predictions, std::span<const double> targets) {
  if (metric == Metric::kPearson) {
    return pearson(predictions, targets);
  }
  BC_CHECK(metric == Metric::kSpearman, metric_name(metric), " asked of a regression task");
  return spearman(predictions, targets);
}

}  // namespace

std::string_view metric_name(Metric metric) {
  const auto* found = std::ranges::find(kNames, metric, &std::pair<Metric, std::string_view>::first);
  BC_CHECK(found != kNames.end());
  return found->second;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  names.reserve(std::size(kNames));
  for (const auto& [metric, name] : kNames) {
    names.emplace_back(name);
  }
  return names;
}

Metric parse_metric(std::string_view name) {
  const auto* found = std::ranges::find(kNames, name, &std::pair<Metric, std::string_view>::second);
  if (found != kNames.end()) {
    return found->first;
  }
  throw ConfigError(cat("unknown metric '", util::excerpt(name), "'; ", util::nearest_or_known(name, metric_names())));
}

double accuracy(std::span<const int32_t> predictions, std::span<const int32_t> labels) {
  check_sizes(predictions.size(), labels.size());
  int64_t hits = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    hits += predictions[i] == labels[i] ? 1 : 0;
  }
  return static_cast<double>(hits) / static_cast<double>(labels.size());
}

double f1(std::span<const int32_t> predictions, std::span<const int32_t> labels) {
  check_sizes(predictions.size(), labels.size());
  int64_t both = 0;
  const auto positive = std::ranges::count(predictions, 1) + std::ranges::count(labels, 1);
  for (size_t i = 0; i < labels.size(); ++i) {
    both += predictions[i] == 1 && labels[i] == 1 ? 1 : 0;
  }
  return positive == 0 ? 0.0 : 2.0 * static_cast<double>(both) / static_cast<double>(positive);
}

// Gorodkin 2004, which is the two-class Matthews correlation for two classes:
// (hits * n - Σ p_k t_k) / sqrt((n² - Σ p_k²)(n² - Σ t_k²)) with p_k, t_k the counts of class k.
double matthews(std::span<const int32_t> predictions, std::span<const int32_t> labels) {
  check_sizes(predictions.size(), labels.size());
  const int32_t largest = std::max(std::ranges::max(predictions), std::ranges::max(labels));
  BC_CHECK(std::min(std::ranges::min(predictions), std::ranges::min(labels)) >= 0, "negative class id");
  std::vector<int64_t> predicted(static_cast<size_t>(largest) + 1);
  std::vector<int64_t> present(predicted.size());
  int64_t hits = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    ++predicted[static_cast<size_t>(predictions[i])];
    ++present[static_cast<size_t>(labels[i])];
    hits += predictions[i] == labels[i] ? 1 : 0;
  }
  const auto count = static_cast<int64_t>(labels.size());
  int64_t covariance = hits * count;
  int64_t predicted_variance = count * count;
  int64_t present_variance = count * count;
  for (size_t k = 0; k < predicted.size(); ++k) {
    covariance -= predicted[k] * present[k];
    predicted_variance -= predicted[k] * predicted[k];
    present_variance -= present[k] * present[k];
  }
  if (predicted_variance == 0 || present_variance == 0) {
    return 0.0;
  }
  return static_cast<double>(covariance) /
         (std::sqrt(static_cast<double>(predicted_variance)) * std::sqrt(static_cast<double>(present_variance)));
}

double pearson(std::span<const double> predictions, std::span<const double> targets) {
  check_sizes(predictions.size(), targets.size());
  if (is_constant(predictions) || is_constant(targets)) {
    return 0.0;
  }
  const std::vector<double> a = standardised(predictions);
  const std::vector<double> b = standardised(targets);
  return std::clamp(std::inner_product(a.begin(), a.end(), b.begin(), 0.0), -1.0, 1.0);
}

double spearman(std::span<const double> predictions, std::span<const double> targets) {
  check_sizes(predictions.size(), targets.size());
  return pearson(average_ranks(predictions), average_ranks(targets));
}

std::vector<double> average_ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t index) { return values[index]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    const double rank = static_cast<double>(begin + 1 + end) / 2;  // mean of begin+1 .. end
    for (; begin < end; ++begin) {
      ranks[order[begin]] = rank;
    }
  }
  return ranks;
}

MetricValues compute_metrics(const TaskSpec& task, std::span<const int32_t> predictions,
                             std::span<const int32_t> labels) {
  MetricValues values;
  for (const Metric metric : task.metrics) {
    values[std::string(metric_name(metric))] = classification_metric(metric, predictions, labels);
  }
  return values;
}

MetricValues compute_metrics(const TaskSpec& task, std::span<const float> predictions, std::span<const float> targets) {
  check_sizes(predictions.size(), targets.size());
  const auto* bad = std::ranges::find_if(predictions.data(), predictions.data() + predictions.size(),
                                         [](float value) { return !std::isfinite(value); });
  if (bad != predictions.data() + predictions.size()) {
    throw DivergedError(cat("task ", task.name, ": prediction ", bad - predictions.data(), " of ", predictions.size(),
                            " is ", *bad, "; the fine-tuning run diverged, try a smaller learning rate"));
  }
  MetricValues values;
  for (const Metric metric : task.metrics) {
    values[std::string(metric_name(metric))] = regression_metric(metric, widen(predictions), widen(targets));
  }
  return values;
}

MetricValues to_score_points(const MetricValues& values) {
  MetricValues points = values;
  for (auto& [name, value] : points) {
    value *= 100;
  }
  return points;
}

}  // namespace bertcram::glue
