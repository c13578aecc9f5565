#include "run_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "bertcram/glue/published.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "run_facts.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;

struct DrawnColumn {
  const char* name;
  bool is_restless = false;  ///< drawn smoothed too
};

constexpr std::array<DrawnColumn, 9> kTrainingColumns = {{{"loss", true},
                                                          {"rtd_loss", true},
                                                          {"lr"},
                                                          {"grad_norm", true},
                                                          {"tokens_per_second", true},
                                                          {"mfu", true},
                                                          {"memory_bytes"},
                                                          {"gpu_temperature"},
                                                          {"gpu_power_watts"}}};
constexpr std::array<DrawnColumn, 4> kEvaluationColumns = {
    {{"eval_loss"}, {"eval_accuracy"}, {"eval_rtd_loss"}, {"eval_rtd_accuracy"}}};

/// A number as short JSON: rounded to so many significant digits; null if it is not finite.
json rounded(double value, int digits) {
  if (!std::isfinite(value) || value == 0) {
    return std::isfinite(value) ? json(0) : json();
  }
  const int power = digits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (std::abs(power) > 300) {
    return value;
  }
  const double scale = std::pow(10.0, std::abs(power));  // exact up to 1e22, unlike 1e-n
  return power >= 0 ? std::round(value * scale) / scale : std::round(value / scale) * scale;
}

const std::vector<double>& x_of(const MetricsTable& table, XAxis axis) {
  static const std::vector<double> kNone;
  if (axis == XAxis::kSteps) {
    return table.steps;
  }
  const auto found = table.columns.find(axis == XAxis::kTokens ? "tokens" : "elapsed_seconds");
  return found == table.columns.end() ? kNone : found->second;
}

/// Adds a curve unless it has no finite point.
void add_curve(json& series, const std::string& name, const std::vector<double>& all_x,
               const std::vector<double>& all_y, size_t points) {
  std::vector<double> x;
  std::vector<double> y;
  bool has_point = false;
  bool has_gap = false;
  for (size_t i = 0; i < std::min(all_x.size(), all_y.size()); ++i) {
    if (std::isfinite(all_x[i])) {
      x.push_back(all_x[i]);
      y.push_back(all_y[i]);
      has_point = has_point || std::isfinite(all_y[i]);
      has_gap = has_gap || !std::isfinite(all_y[i]);
    }
  }
  if (!has_point) {
    return;
  }
  const size_t points_of_bucket = has_gap ? 5 : 4;
  thin_out(x, y, std::max<size_t>(1, points / points_of_bucket));
  json x_json = json::array();
  json y_json = json::array();
  for (size_t i = 0; i < x.size(); ++i) {
    x_json.push_back(rounded(x[i], 12));
    y_json.push_back(rounded(y[i], 6));
  }
  series[name] = {{"x", std::move(x_json)}, {"y", std::move(y_json)}};
}

void add_drawn(json& series, const MetricsTable& table, std::span<const DrawnColumn> columns,
               const SeriesOptions& options) {
  const std::vector<double>& x = x_of(table, options.x);
  for (const DrawnColumn& column : columns) {
    const bool is_wanted = options.keys.empty() || std::ranges::find(options.keys, column.name) != options.keys.end();
    const auto found = table.columns.find(column.name);
    if (!is_wanted || found == table.columns.end()) {
      continue;
    }
    add_curve(series, column.name, x, found->second, options.points);
    if (column.is_restless && series.contains(column.name)) {
      const double span = std::max(8.0, static_cast<double>(table.size()) / 100);
      add_curve(series, std::string(column.name) + "_smooth", x, smoothed(found->second, span), options.points);
    }
  }
}

json glue_json(const RunFacts& run) {
  const auto tasks = tasks_of(run);
  if (tasks.empty()) {
    return {};
  }
  json rows = json::array();
  for (const auto& [name, task] : tasks) {
    const size_t seeds = task.contains("seeds") && task["seeds"].is_array() ? task["seeds"].size() : 0;
    rows.push_back({{"name", name},
                    {"metric", util::text_member(task, "metric")},
                    {"median", number_of(task, "median")},
                    {"mean", number_of(task, "mean")},
                    {"sd", number_of(task, "sd")},
                    {"seeds", seeds}});
  }
  json references = json::array();
  for (const glue::PublishedRow& row : glue::published_rows()) {
    if (row.flops > 0) {
      references.push_back({{"name", row.name}, {"average", row.average}, {"scores", row.scores}});
    }
  }
  const auto average = average_of(run);
  return {
      {"protocol", util::text_member(run.glue, "protocol")},
      {"tasks", rows},
      {"average", average ? json(*average) : json()},
      {"failed", run.glue.contains("failed") && run.glue["failed"].is_object() ? run.glue["failed"] : json::object()},
      {"references", references}};
}

json sessions_json(const RunFacts& run) {
  constexpr size_t kMostSessions = 100;
  const auto& starts = run.metrics.starts();
  json sessions = json::array();
  for (size_t i = starts.size() - std::min(starts.size(), kMostSessions); i < starts.size(); ++i) {
    json session = json::object();
    for (const char* key : {"step", "device", "version", "commit", "torch_version", "seed", "parameters",
                            "flops_per_token", "peak_flops", "unigram_entropy", "fingerprint"}) {
      if (const auto found = starts[i].find(key); found != starts[i].end() && found->is_primitive()) {
        constexpr double kExactBelow = 9007199254740992.0;  // 2^53: JavaScript reads numbers as doubles
        const bool is_exact = !found->is_number_integer() || std::abs(found->get<double>()) < kExactBelow;
        session[key] = is_exact ? *found : json(found->dump());
      }
    }
    sessions.push_back(std::move(session));
  }
  return sessions;
}

/// null without samples.
json samples_json(const RunFacts& run) {
  const auto samples = samples_of(run);
  if (samples.empty()) {
    return {};
  }
  json list = json::array();
  for (const ShownSample& sample : samples) {
    json top = json::array();
    for (const auto& [token, probability] : sample.top) {
      top.push_back({{"token", token}, {"probability", rounded(probability, 4)}});
    }
    list.push_back(
        {{"before", sample.before}, {"truth", sample.truth}, {"after", sample.after}, {"top", std::move(top)}});
  }
  return {{"step", number_of(run.metrics.samples(), "step")}, {"samples", std::move(list)}};
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

}  // namespace

json series_json(const RunFacts& run, const SeriesOptions& options) {
  json series = json::object();
  const MetricsTable& training = run.metrics.training();
  const MetricsTable& evaluations = run.metrics.evaluations();
  add_drawn(series, training, kTrainingColumns, options);
  add_drawn(series, evaluations, kEvaluationColumns, options);
  return {{"rows", training.size()}, {"evaluations", evaluations.size()}, {"series", std::move(series)}};
}

json details_json(const RunFacts& run) {
  return {{"sessions", sessions_json(run)}, {"config", run.config},
          {"changes", run.changes},         {"glue", glue_json(run)},
          {"samples", samples_json(run)},   {"damaged_lines", run.metrics.damaged_lines()}};
}

std::string metrics_csv(const MetricsTable& table) {
  std::string text = "step";
  for (const auto& [name, column] : table.columns) {
    text += "," + csv_field(name);
  }
  text += "\r\n";
  const auto add = [&text](double value) { text += std::isfinite(value) ? util::format_number(value) : std::string(); };
  for (size_t row = 0; row < table.size(); ++row) {
    add(table.steps[row]);
    for (const auto& [name, column] : table.columns) {
      text += ',';
      add(column[row]);
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace bertcram::monitor
