#include "bertcram/glue/results.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
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

OrderedJson to_json(const TaskResult& task) {
  OrderedJson seeds = OrderedJson::array();
  for (const SeedResult& seed : task.seeds) {
    seeds.push_back({{"seed", seed.seed}, {"metrics", seed.metrics}, {"seconds", seed.seconds}});
  }
  return {{"metric", task.metric}, {"seeds", seeds}, {"median", task.median}, {"mean", task.mean}, {"sd", task.sd}};
}

OrderedJson to_json(const std::optional<double>& average) { return average ? OrderedJson(*average) : OrderedJson(); }

/// Reads keys of a JSON object; every failure is a DataError "file: what key: got, expected".
class KeyReader {
 public:
  KeyReader(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) {
      fail(cat("is ", object_.type_name(), ", expected an object"));
    }
  }

  const nlohmann::json& at(const std::string& key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) {
      fail(cat("lacks the key '", key, "'"));
    }
    return *found;
  }

  double number(const std::string& key) const {
    const nlohmann::json& value = at(key);
    if (!value.is_number()) {
      fail(cat("'", key, "' is ", value.type_name(), ", expected a number"));
    }
    return value.get<double>();
  }

  int64_t integer(const std::string& key) const {
    const nlohmann::json& value = at(key);
    if (!value.is_number_integer()) {
      fail(cat("'", key, "' is ", value.type_name(), ", expected an integer"));
    }
    return value.get<int64_t>();
  }

  std::string string(const std::string& key) const {
    const nlohmann::json& value = at(key);
    if (!value.is_string()) {
      fail(cat("'", key, "' is ", value.type_name(), ", expected a string"));
    }
    return value.get<std::string>();
  }

  KeyReader object(const std::string& key) const { return {at(key), cat(where_, " ", key)}; }
  const nlohmann::json& raw() const { return object_; }
  const std::string& where() const { return where_; }

  [[noreturn]] void fail(const std::string& problem) const {
    throw DataError(cat(where_, " ", problem, "; is this a results.json of bertcram finetune-glue?"));
  }

 private:
  const nlohmann::json& object_;
  std::string where_;
};

SeedResult parse_seed(const KeyReader& reader) {
  SeedResult seed{.seed = reader.integer("seed")};
  const KeyReader metrics = reader.object("metrics");
  for (const auto& item : metrics.raw().items()) {
    seed.metrics[item.key()] = metrics.number(item.key());
  }
  if (reader.raw().contains("seconds")) {
    seed.seconds = reader.number("seconds");
  }
  return seed;
}

TaskResult parse_task(const KeyReader& reader) {
  TaskResult task{.metric = reader.string("metric"),
                  .median = reader.number("median"),
                  .mean = reader.number("mean"),
                  .sd = reader.number("sd")};
  const nlohmann::json& seeds = reader.at("seeds");
  if (!seeds.is_array() || seeds.empty()) {
    reader.fail("'seeds' is not a list with at least one entry");
  }
  for (const nlohmann::json& seed : seeds) {
    task.seeds.push_back(parse_seed({seed, cat(reader.where(), " seed ", task.seeds.size())}));
    if (!task.seeds.back().metrics.contains(task.metric)) {
      reader.fail(cat("seed ", task.seeds.back().seed, " lacks the metric '", task.metric, "'"));
    }
  }
  return task;
}

nlohmann::json parse_file(const std::filesystem::path& path) {
  try {
    return nlohmann::json::parse(util::read_file(path));
  } catch (const nlohmann::json::parse_error& error) {
    throw DataError(cat(path.string(), " at byte ", error.byte, ": not valid JSON; the file is truncated or corrupt"));
  }
}

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

TaskResult summarise_seeds(Metric metric, std::vector<SeedResult> seeds) {
  TaskResult task{.metric = std::string(metric_name(metric)), .seeds = std::move(seeds)};
  std::vector<double> scores;
  for (const SeedResult& seed : task.seeds) {
    const auto found = seed.metrics.find(task.metric);
    BC_CHECK(found != seed.metrics.end() && std::isfinite(found->second), "seed ", seed.seed, ", ", task.metric);
    scores.push_back(found->second);
  }
  task.median = summarise(Statistic::kMedian, scores);
  task.mean = summarise(Statistic::kMean, scores);
  task.sd = standard_deviation(scores, task.mean);
  return task;
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
  const OrderedJson document = {
      {"protocol", results.protocol},
      {"overrides", results.overrides},
      {"tasks", tasks},
      {"averages", {{"sane9", to_json(averages.sane9)}, {"transfer8", to_json(averages.transfer8)}}}};
  return document.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

void save_results(const GlueResults& results, const std::filesystem::path& path) {
  util::write_file_atomically(path, results_to_json(results));
}

GlueResults load_results(const std::filesystem::path& path) {
  const nlohmann::json document = parse_file(path);
  const KeyReader reader(document, path.string() + ":");
  GlueResults results{.protocol = reader.string("protocol")};
  if (results.protocol != "sane" && results.protocol != "transfer") {
    reader.fail(cat("has the protocol '", results.protocol, "', expected sane or transfer"));
  }
  const KeyReader tasks = reader.object("tasks");
  for (const auto& item : tasks.raw().items()) {
    results.tasks[item.key()] = parse_task(tasks.object(item.key()));
  }
  return results;
}

}  // namespace bertcram::glue
