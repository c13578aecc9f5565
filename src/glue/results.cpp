#include "bertcram/glue/results.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "results_order.h"

namespace bertcram::glue {
namespace {

using OrderedJson = nlohmann::ordered_json;

double standard_deviation(std::span<const double> values, double mean) {
  if (values.size() < 2) {
    return 0;
  }
  double squares = 0;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
  }
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// One entry per learning rate, in the order of the protocol's list.
std::vector<GridPoint> grid_of(const FinetuneRecipe& recipe, const std::string& metric,
                               std::span<const UnitRecord> records) {
  const auto means = mean_by_rate(records, metric);
  std::vector<GridPoint> grid;
  for (const double rate : recipe.grid) {
    if (const auto mean = means.find(rate); mean != means.end()) {
      grid.push_back({.learning_rate = rate, .mean = mean->second});
    }
  }
  return grid;
}

TaskResult summarised(TaskResult task) {
  std::vector<double> scores;
  for (const SeedResult& seed : task.seeds) {
    scores.push_back(score_of(seed.scores, task.metric));
  }
  task.median = summarise(Statistic::kMedian, scores);
  task.mean = summarise(Statistic::kMean, scores);
  task.sd = standard_deviation(scores, task.mean);
  return task;
}

OrderedJson to_json(const SeedResult& seed, const std::vector<std::string>& labels) {
  OrderedJson object = {{"seed", seed.seed},
                        {"metrics", seed.scores.metrics},
                        {"epoch", seed.epoch},
                        {"examples", seed.scores.examples},
                        {"truncated", seed.scores.truncated}};
  for (const auto& [name, interval] : seed.scores.intervals) {
    object["intervals"][name] = {interval.low, interval.high};
  }
  for (size_t i = 0; i < seed.scores.classes.size(); ++i) {
    const ClassCounts& counts = seed.scores.classes[i];
    object["classes"][labels.at(i)] = {
        {"examples", counts.examples}, {"predicted", counts.predicted}, {"correct", counts.correct}};
  }
  return object;
}

OrderedJson to_json(const TaskResult& task) {
  OrderedJson seeds = OrderedJson::array();
  for (const SeedResult& seed : task.seeds) {
    seeds.push_back(to_json(seed, task.labels));
  }
  OrderedJson object = {
      {"metric", task.metric}, {"seeds", seeds}, {"median", task.median}, {"mean", task.mean}, {"sd", task.sd}};
  for (const GridPoint& point : task.grid) {
    object["grid"].push_back({{"learning_rate", point.learning_rate}, {"mean", point.mean}});
  }
  if (task.baseline) {
    object["bag_of_words"] = *task.baseline;
  }
  return object;
}

OrderedJson to_json(const std::optional<double>& average) { return average ? OrderedJson(*average) : OrderedJson(); }

}  // namespace

std::vector<std::string> ordered_names(const GlueResults& results) {
  std::vector<std::string> names;
  for (const std::string& name : reported_order()) {
    if (results.tasks.contains(name)) {
      names.push_back(name);
    }
  }
  for (const auto& [name, task] : results.tasks) {
    if (std::ranges::find(names, name) == names.end()) {
      names.push_back(name);
    }
  }
  return names;
}

void add_task(GlueResults& results, const TaskSpec& task, std::span<const UnitRecord> records) {
  BC_CHECK(!records.empty(), task.name);
  const Protocol& protocol = find_protocol(results.protocol);
  const std::string metric(metric_name(primary_metric(protocol, task)));
  const std::vector<GridPoint> grid = grid_of(recipe_for(protocol, task), metric, records);
  const double best = best_rate(records, metric);
  for (const SplitScores& split : records.front().dev) {
    const auto has_it = [&](const UnitRecord& record) {
      return std::ranges::count(record.dev, split.reported_name, &SplitScores::reported_name) > 0;
    };
    if (!std::ranges::all_of(records, has_it)) {
      continue;
    }
    // AX is judged by its own metric, whatever the task whose model scores it is judged by.
    const TaskSpec& judged = split.reported_name == "ax" ? find_task("ax") : task;
    TaskResult entry = {
        .metric = std::string(metric_name(primary_metric(protocol, judged))), .labels = task.labels, .grid = grid};
    for (const UnitRecord& record : records) {
      const auto same = std::ranges::find(record.dev, split.reported_name, &SplitScores::reported_name);
      if (record.id.grid_rate == best) {
        entry.seeds.push_back({.seed = record.id.seed, .epoch = record.epoch, .scores = *same});
      }
    }
    std::ranges::sort(entry.seeds, {}, &SeedResult::seed);
    results.tasks[split.reported_name] = summarised(std::move(entry));
  }
}

TaskScores task_scores(const GlueResults& results) {
  const Statistic statistic = find_protocol(results.protocol).statistic;
  TaskScores scores;
  for (const auto& [name, task] : results.tasks) {
    scores[name] = statistic == Statistic::kMedian ? task.median : task.mean;
  }
  return scores;
}

GlueAverages compute_averages(const GlueResults& results) {
  const TaskScores scores = task_scores(results);
  return {.sane9 = average_sane9(scores), .transfer8 = average_transfer8(scores)};
}

std::string results_to_json(const GlueResults& results) {
  OrderedJson tasks = OrderedJson::object();
  for (const std::string& name : ordered_names(results)) {
    tasks[name] = to_json(results.tasks.find(name)->second);
  }
  const GlueAverages averages = compute_averages(results);
  OrderedJson document = {
      {"protocol", results.protocol},
      {"overrides", results.overrides},
      {"tasks", tasks},
      {"averages", {{"sane9", to_json(averages.sane9)}, {"transfer8", to_json(averages.transfer8)}}}};
  if (!results.failed.empty()) {
    document["failed"] = results.failed;
  }
  return document.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace bertcram::glue
