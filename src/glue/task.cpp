#include "bertcram/glue/task.h"

#include <algorithm>
#include <sstream>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const TaskSpec& task : builtin_tasks()) {
    names.push_back(task.name);
  }
  return names;
}

std::vector<std::string> trainable_names() {
  std::vector<std::string> names;
  for (const TaskSpec& task : builtin_tasks()) {
    if (task.train) {
      names.push_back(task.name);
    }
  }
  return names;
}

}  // namespace

std::string normalised_name(std::string_view name) {
  std::string normalised = util::to_lower_ascii(util::trim(name));
  std::erase_if(normalised, [](char c) { return c == '-' || c == '_'; });
  return normalised;
}

const TaskSpec& find_task(std::string_view name) {
  const std::string wanted = normalised_name(name);
  const auto tasks = builtin_tasks();
  const auto found = std::ranges::find(tasks, wanted, &TaskSpec::name);
  if (found != tasks.end()) {
    return *found;
  }
  const std::vector<std::string> names = task_names();
  const auto nearest = util::nearest_name(wanted, names);
  throw ConfigError(cat("unknown task '", util::excerpt(name), "'; ",
                        nearest ? cat("did you mean '", *nearest, "'? ") : std::string(),
                        "known: ", util::join(names, ", "), " (your own: --task-file)"));
}

std::vector<std::string> expand_task_list(std::string_view list) {
  if (normalised_name(list) == "all") {
    return trainable_names();
  }
  std::vector<std::string> names;
  for (const std::string_view part : util::split(list, ',')) {
    if (util::trim(part).empty()) {
      throw ConfigError(cat("empty name in the task list '", util::excerpt(list), "'; expected e.g. mnli,rte or all"));
    }
    const TaskSpec& task = find_task(part);
    if (!task.train) {
      throw ConfigError(cat("task ", task.name, " has no training data; it is scored with the ", task.scored_with,
                            " model, so ask for --task ", task.scored_with));
    }
    if (std::ranges::find(names, task.name) == names.end()) {
      names.push_back(task.name);
    }
  }
  return names;
}

const std::vector<std::string>& reported_order() {
  static const std::vector<std::string> kOrder = [] {
    std::vector<std::string> order;
    for (const TaskSpec& task : builtin_tasks()) {
      for (const SplitSpec& dev : task.dev) {
        order.push_back(dev.reported_name);
      }
    }
    return order;
  }();
  return kOrder;
}

std::string scoring_rules(const TaskSpec& task) {
  std::ostringstream rules;
  const auto add_column = [&](const char* what, const Column& column) {
    rules << what << " '" << column.name << "' " << column.index << '\n';
  };
  rules << static_cast<int>(task.kind) << ' ' << task.range_low << ' ' << task.range_high << ' '
        << static_cast<int>(task.bad_rows) << '\n';
  for (const Metric metric : task.metrics) {
    rules << metric_name(metric) << '\n';
  }
  if (task.train) {  // the dev set has the same columns
    const SourceSpec& source = task.train->sources.front();
    rules << static_cast<int>(source.format) << ' ' << static_cast<int>(source.header) << '\n';
    add_column("text_a", source.text_a);
    if (source.text_b) {
      add_column("text_b", *source.text_b);
    }
    if (source.label) {
      add_column("label", *source.label);
    }
  }
  return rules.str();
}

ScoreUnit score_unit(const TaskSpec& task) {
  constexpr double kRange = 5;  // of STS-B, which the protocols' rates are made for
  return task.kind == TaskKind::kRegression
             ? ScoreUnit{.low = task.range_low, .unit = (task.range_high - task.range_low) / kRange}
             : ScoreUnit{};
}

std::string label_list(const TaskSpec& task) {
  constexpr size_t kShown = 12;
  const std::span<const std::string> labels = task.labels;
  if (labels.size() <= kShown) {
    return util::join(labels, ", ");
  }
  return cat(util::join(labels.first(kShown), ", "), ", … (", labels.size(), " in all)");
}

}  // namespace bertcram::glue
