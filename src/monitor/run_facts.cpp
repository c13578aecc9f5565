#include "run_facts.h"

#include <algorithm>
#include <cmath>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/config/resolve.h"
#include "bertcram/glue/task.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"

namespace bertcram::monitor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// null if the file is missing or no JSON.
json json_of(const fs::path& path) {
  try {
    return util::try_parse_json(util::read_file(path));
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

std::vector<double> column_of(const MetricsTable& table, const std::string& name) {
  const auto found = table.columns.find(name);
  return found == table.columns.end() ? std::vector<double>{} : found->second;
}

std::optional<double> last_of(const MetricsTable& table, const std::string& name) {
  const std::vector<double> values = column_of(table, name);
  const auto last = std::find_if(values.rbegin(), values.rend(), [](double value) { return std::isfinite(value); });
  return last == values.rend() ? std::nullopt : std::optional(*last);
}

std::vector<std::pair<std::string, json>> tasks_of(const RunFacts& run) {
  std::vector<std::pair<std::string, json>> found;
  const json tasks = run.glue.is_object() && run.glue.contains("tasks") ? run.glue["tasks"] : json();
  const std::vector<std::string>& order = glue::reported_order();
  const auto add = [&](const std::string& name) {
    if (const json& task = tasks[name]; task.is_object() && task.contains("median") && task["median"].is_number()) {
      found.emplace_back(name, task);
    }
  };
  if (!tasks.is_object()) {
    return found;
  }
  for (const std::string& name : order) {
    if (tasks.contains(name)) {
      add(name);
    }
  }
  for (const auto& [name, task] : tasks.items()) {
    if (std::ranges::find(order, name) == order.end()) {
      add(name);
    }
  }
  return found;
}

std::vector<ShownSample> samples_of(const RunFacts& run) {
  constexpr size_t kMost = 20;
  std::vector<ShownSample> found;
  const json& line = run.metrics.samples();
  if (!line.is_object() || !line.contains("samples") || !line["samples"].is_array()) {
    return found;
  }
  for (const json& each : line["samples"]) {
    if (!each.is_object() || !each.contains("top") || !each["top"].is_array() || found.size() == kMost) {
      continue;
    }
    found.push_back({.before = util::text_member(each, "before"),
                     .truth = util::text_member(each, "truth"),
                     .after = util::text_member(each, "after")});
    for (const json& guess : each["top"]) {
      found.back().top.emplace_back(util::text_member(guess, "token"), number_of(guess, "probability"));
    }
  }
  return found;
}

double number_of(const json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_number() ? object[key].get<double>() : 0;
}

double flops_of(const RunFacts& run) {
  const auto& starts = run.metrics.starts();
  const double per_token = starts.empty() ? 0 : number_of(starts.back(), "flops_per_token");
  return per_token * static_cast<double>(run.status.tokens);
}

std::optional<double> average_of(const RunFacts& run) {
  const json averages = run.glue.is_object() && run.glue.contains("averages") ? run.glue["averages"] : json();
  const double value = number_of(averages, "sane9");
  return value != 0 ? std::optional(value) : std::nullopt;
}

RunFacts read_run(const fs::path& folder, double now) {
  if (!fs::exists(folder / "metrics.jsonl") && !fs::exists(folder / "status.json")) {
    throw DataError(cat(folder.string(), ": no training run; expected the --output folder of 'bertcram pretrain'"));
  }
  const fs::path whole = fs::absolute(folder).lexically_normal();
  RunFacts run = {.name = (whole.has_filename() ? whole : whole.parent_path()).filename().string(),
                  .status = read_status(folder, now),
                  .metrics = MetricsReader(folder / "metrics.jsonl"),
                  .glue = json_of(folder / "glue" / "results.json")};
  run.metrics.refresh();
  try {
    run.data = json_of(take_config(run, util::read_file(folder / "config.yaml")) / "manifest.json");
  } catch (const Error&) {  // gone: the report goes without
  }
  return run;
}

fs::path take_config(RunFacts& run, std::string yaml) {
  run.config = std::move(yaml);
  run.changes.clear();
  config::PretrainConfig defaults;
  config::PretrainConfig used;
  try {
    config::apply_yaml(config::fields_of(used), run.config, "config.yaml");
  } catch (const Error&) {  // of another version
    return {};
  }
  run.changes = config::differences(config::fields_of(defaults), config::fields_of(used));
  return used.data;
}

}  // namespace bertcram::monitor
