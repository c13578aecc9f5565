#include "bertcram/glue/unit.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "bertcram/glue/class_outputs.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/json_fields.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using util::JsonFields;

constexpr const char* kFormat = "bertcram-finetuned";
constexpr int64_t kVersion = 1;
constexpr const char* kPredictionsHash = "predictions_xxh3_128";
constexpr const char* kAdvice = "restore it, or remove the folder, and the same command runs this unit again";

json to_json(const SplitScores& split) {
  json object = {{"name", split.reported_name},
                 {"examples", split.examples},
                 {"truncated", split.truncated},
                 {"metrics", split.metrics}};
  if (!split.predictions_hash.empty()) {
    object[kPredictionsHash] = split.predictions_hash;
  }
  for (const auto& [name, interval] : split.intervals) {
    object["intervals"][name] = {interval.low, interval.high};
  }
  for (const ClassCounts& counts : split.classes) {
    object["classes"].push_back(
        {{"examples", counts.examples}, {"predicted", counts.predicted}, {"correct", counts.correct}});
  }
  return object;
}

SplitScores split_of(const JsonFields& fields) {
  SplitScores split = {.reported_name = fields.at<std::string>("name"),
                       .examples = fields.at<int64_t>("examples"),
                       .truncated = fields.at<int64_t>("truncated"),
                       .predictions_hash = fields.get<std::string>(kPredictionsHash, "")};
  const JsonFields metrics = fields.object("metrics");
  for (const auto& item : metrics.raw().items()) {
    split.metrics[item.key()] = metrics.at<double>(item.key());
  }
  if (fields.find("intervals") != nullptr) {
    for (const auto& item : fields.object("intervals").raw().items()) {
      const json& ends = item.value();
      if (!ends.is_array() || ends.size() != 2 || !ends[0].is_number() || !ends[1].is_number()) {
        fields.fail("intervals", cat("of ", item.key(), " is ", JsonFields::shown(ends), ", expected two numbers"));
      }
      split.intervals[item.key()] = {.low = ends[0].get<double>(), .high = ends[1].get<double>()};
    }
  }
  if (const json* classes = fields.find("classes")) {
    for (const json& each : *classes) {
      const JsonFields counts(each, fields.where());
      split.classes.push_back({.examples = counts.at<int64_t>("examples"),
                               .predicted = counts.at<int64_t>("predicted"),
                               .correct = counts.at<int64_t>("correct")});
    }
  }
  return split;
}

std::string seal_of(const json& content) { return util::hash128(util::json_text(content)).hex(); }

std::span<const float> row_of(std::span<const float> outputs, int64_t classes, size_t index) {
  return outputs.subspan(index * static_cast<size_t>(classes), static_cast<size_t>(classes));
}

std::vector<float> targets_of(const Dataset& dataset) {
  std::vector<float> targets;
  std::ranges::transform(dataset.examples, std::back_inserter(targets), &Example::target);
  return targets;
}

struct Classified {
  std::vector<int32_t> predictions;
  std::vector<int32_t> labels;
};

/// @param outputs  rows of task.classes() numbers
Classified classify(const TaskSpec& task, const Dataset& dataset, std::span<const float> outputs) {
  BC_CHECK(std::ssize(outputs) == dataset.size() * task.classes(), outputs.size(), " outputs");
  Classified classified;
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    classified.predictions.push_back(best_class(row_of(outputs, task.classes(), i)));
    classified.labels.push_back(dataset.examples[i].label);
  }
  return classified;
}

UnitRecord read_unit(const fs::path& path) {
  json document = util::try_parse_json(util::read_file(path));
  if (!document.is_object()) {
    throw DataError(cat(path.string(), ": damaged or cut off"));
  }
  const JsonFields fields(document, path.string());
  const auto seal = fields.at<std::string>("xxh3_128");
  document.erase("xxh3_128");
  if (fields.get<std::string>("format", "") != kFormat || fields.get<int64_t>("version", 0) != kVersion) {
    throw DataError(cat(path.string(), ": not a unit.json of this version of bertcram"));
  }
  if (seal != seal_of(document)) {
    throw DataError(cat(path.string(), ": its numbers are not those that were written"));
  }
  UnitRecord record = {.id = {.task = fields.at<std::string>("task"),
                              .seed = fields.at<int64_t>("seed"),
                              .grid_rate = fields.at<double>("grid_rate")},
                       .epoch = fields.at<int64_t>("epoch"),
                       .training_examples = fields.at<int64_t>("training_examples"),
                       .truncated = fields.at<int64_t>("truncated"),
                       .training_seconds = fields.at<double>("training_seconds"),
                       .runtime = fields.at<std::string>("runtime"),
                       .dev = {}};
  for (const json& split : fields.member("dev")) {
    record.dev.push_back(split_of(JsonFields(split, cat(path.string(), ": dev"))));
  }
  return record;
}

/// The best run at a rate that there is.
UnitId best_at(double rate, std::span<const UnitRecord> records, const std::string& metric) {
  const UnitRecord* best = nullptr;
  for (const UnitRecord& record : records) {
    if (record.id.grid_rate != rate) {
      continue;
    }
    const double lead =
        best == nullptr ? 1 : score_of(record.dev.front(), metric) - score_of(best->dev.front(), metric);
    if (lead > 0 || (lead == 0 && record.id.seed < best->id.seed)) {
      best = &record;
    }
  }
  BC_CHECK(best != nullptr, rate);
  return best->id;
}

}  // namespace

std::string UnitId::folder() const {
  return cat(task, "-seed", seed, grid_rate > 0 ? cat("-rate", util::format_number(grid_rate)) : "");
}

std::string UnitId::text() const {
  return cat(task, " seed ", seed, grid_rate > 0 ? cat(" at ", util::format_number(grid_rate)) : "");
}

fs::path predictions_file(const fs::path& folder, const std::string& reported_name) {
  return folder / cat("predictions.", reported_name, ".tsv");
}

void check_predictions(const fs::path& folder, const std::string& reported_name) {
  const auto record = load_unit(folder);
  BC_CHECK(record.has_value(), folder.string());
  const auto split = std::ranges::find(record->dev, reported_name, &SplitScores::reported_name);
  const fs::path file = predictions_file(folder, reported_name);
  if (split != record->dev.end() && !split->predictions_hash.empty() &&
      split->predictions_hash != util::hash_file(file).hex()) {
    throw DataError(cat(file.string(), ": its predictions are not those that were written; ", kAdvice));
  }
}

void save_unit(const UnitRecord& record, const fs::path& folder) {
  json content = {{"format", kFormat},
                  {"version", kVersion},
                  {"task", record.id.task},
                  {"seed", record.id.seed},
                  {"grid_rate", record.id.grid_rate},
                  {"epoch", record.epoch},
                  {"training_examples", record.training_examples},
                  {"truncated", record.truncated},
                  {"training_seconds", record.training_seconds},
                  {"runtime", record.runtime},
                  {"dev", json::array()}};
  for (SplitScores split : record.dev) {
    if (const fs::path file = predictions_file(folder, split.reported_name); fs::exists(file)) {
      split.predictions_hash = util::hash_file(file).hex();
    }
    content["dev"].push_back(to_json(split));
  }
  json document = content;
  document["xxh3_128"] = seal_of(content);
  util::write_file_atomically(folder / kUnitFile, util::json_text(document, 1) + "\n");
}

std::optional<UnitRecord> load_unit(const fs::path& folder) {
  const fs::path path = folder / kUnitFile;
  if (!fs::exists(path)) {
    return std::nullopt;
  }
  try {
    return read_unit(path);
  } catch (const UnreadableError&) {
    throw;  // it may be fine
  } catch (const DataError& error) {
    throw DataError(cat(error.what(), "; ", kAdvice));
  }
}

double score_of(const SplitScores& scores, const std::string& metric) {
  const auto found = scores.metrics.find(metric);
  BC_CHECK(found != scores.metrics.end() && std::isfinite(found->second), scores.reported_name, ", ", metric);
  return found->second;
}

std::map<double, double, std::greater<>> mean_by_rate(std::span<const UnitRecord> records, const std::string& metric) {
  std::map<double, std::vector<double>> scores_of_rates;
  for (const UnitRecord& record : records) {
    scores_of_rates[record.id.grid_rate].push_back(score_of(record.dev.front(), metric));
  }
  std::map<double, double, std::greater<>> means;
  for (auto& [rate, scores] : scores_of_rates) {
    std::ranges::sort(scores);  // a sum is rounded by its order
    means[rate] = summarise(Statistic::kMean, scores);
  }
  return means;
}

double best_rate(std::span<const UnitRecord> records, const std::string& metric) {
  BC_CHECK(!records.empty(), metric);
  const auto means = mean_by_rate(records, metric);
  return std::ranges::max_element(means, {}, [](const auto& entry) { return entry.second; })->first;
}

std::optional<UnitId> best_unit(std::span<const UnitRecord> records, const std::string& metric) {
  return records.empty() ? std::nullopt : std::optional(best_at(best_rate(records, metric), records, metric));
}

std::vector<UnitId> best_of_each_rate(std::span<const UnitRecord> records, const std::string& metric) {
  std::set<double> rates;
  std::ranges::transform(records, std::inserter(rates, rates.end()),
                         [](const UnitRecord& record) { return record.id.grid_rate; });
  std::vector<UnitId> best;
  std::ranges::transform(rates, std::back_inserter(best), [&](double rate) { return best_at(rate, records, metric); });
  return best;
}

SplitScores score_split(const TaskSpec& task, const Dataset& dataset, std::span<const float> outputs) {
  SplitScores split = {.examples = dataset.size()};
  if (task.kind == TaskKind::kRegression) {
    split.metrics = to_score_points(compute_metrics(task, outputs, std::span<const float>(targets_of(dataset))));
    return split;
  }
  const Classified classified = classify(task, dataset, outputs);
  split.metrics = to_score_points(compute_metrics(task, classified.predictions, classified.labels));
  split.classes = count_classes(task.classes(), classified.predictions, classified.labels);
  return split;
}

MetricIntervals score_intervals(const TaskSpec& task, const Dataset& dataset, std::span<const float> outputs) {
  MetricIntervals intervals;
  if (task.kind == TaskKind::kRegression) {
    intervals = bootstrap_intervals(task, outputs, std::span<const float>(targets_of(dataset)));
  } else {
    const Classified classified = classify(task, dataset, outputs);
    intervals = bootstrap_intervals(task, classified.predictions, classified.labels);
  }
  for (auto& [name, interval] : intervals) {
    interval = {.low = interval.low * 100, .high = interval.high * 100};
  }
  return intervals;
}

void save_predictions(const TaskSpec& task, const Dataset& dataset, std::span<const float> outputs,
                      const fs::path& path) {
  const bool is_regression = task.kind == TaskKind::kRegression;
  const bool is_labelled = dataset.labelling == Labelling::kLabelled;
  std::string text = cat("line", is_labelled ? (is_regression ? "\ttarget" : "\tlabel") : "", "\tprediction");
  for (const std::string& label : task.labels) {
    text += cat("\tp(", label, ")");
  }
  text += '\n';
  const auto probabilities = is_regression ? std::vector<double>() : probabilities_of(outputs, task.classes());
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    const Example& example = dataset.examples[i];
    text += cat(example.line);
    if (is_labelled) {
      text += '\t';
      text += is_regression ? util::format_float(example.target) : task.labels[static_cast<size_t>(example.label)];
    }
    const auto row = row_of(outputs, task.classes(), i);
    text += '\t';
    text += is_regression ? util::format_fixed(static_cast<double>(row[0]), 6)
                          : task.labels[static_cast<size_t>(best_class(row))];
    for (size_t column = 0; !is_regression && column < row.size(); ++column) {
      text += cat("\t", util::format_fixed(probabilities[i * row.size() + column], 6));
    }
    text += '\n';
  }
  util::write_file_atomically(path, text);
}

}  // namespace bertcram::glue
