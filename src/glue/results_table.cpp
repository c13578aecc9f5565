#include <algorithm>

#include "bertcram/glue/published.h"
#include "bertcram/glue/results.h"
#include "bertcram/glue/task.h"
#include "bertcram/util/error.h"
#include "bertcram/util/table.h"
#include "bertcram/util/text.h"
#include "results_order.h"

namespace bertcram::glue {
namespace {

using util::Table;

std::string formatted(const Table& table, TableStyle style) {
  return style == TableStyle::kMarkdown ? util::markdown_table(table) : util::plain_table(table);
}

/// The mean of the seeds' intervals of the primary metric.
std::string interval_text(const TaskResult& task) {
  double low = 0;
  double high = 0;
  for (const SeedResult& seed : task.seeds) {
    const auto found = seed.scores.intervals.find(task.metric);
    if (found == seed.scores.intervals.end()) {
      return "-";
    }
    low += found->second.low / static_cast<double>(task.seeds.size());
    high += found->second.high / static_cast<double>(task.seeds.size());
  }
  return cat(util::format_fixed(low, 1), " to ", util::format_fixed(high, 1));
}

Table table_of_tasks(const GlueResults& results) {
  const bool has_baseline =
      std::ranges::any_of(results.tasks, [](const auto& entry) { return entry.second.baseline.has_value(); });
  Table table = {.word_columns = 2, .rows = {{"task", "metric", "median", "mean ± sd", "seeds", "95 % of dev sets"}}};
  if (has_baseline) {
    table.rows.front().emplace_back("bag of words");
  }
  for (const std::string& name : ordered_names(results)) {
    const TaskResult& task = results.tasks.find(name)->second;
    std::string spread = util::format_fixed(task.mean, 2);
    if (task.seeds.size() > 1) {
      spread += " ± " + util::format_fixed(task.sd, 2);
    }
    table.rows.push_back({name, task.metric, util::format_fixed(task.median, 2), spread,
                          std::to_string(task.seeds.size()), interval_text(task)});
    if (has_baseline) {
      table.rows.back().push_back(task.baseline ? util::format_fixed(*task.baseline, 2) : "-");
    }
  }
  return table;
}

std::string score_text(const std::optional<double>& score, int decimals) {
  return score ? util::format_fixed(*score, decimals) : "-";
}

/// This run's averages above the published ones.
Table table_of_averages(const GlueResults& results) {
  const GlueAverages averages = compute_averages(results);
  Table table = {
      .word_columns = 2,
      .rows = {{"averages", "protocol", "sane9", "transfer8"},
               {"this model", results.protocol, score_text(averages.sane9, 2), score_text(averages.transfer8, 2)}}};
  for (const PublishedRow& row : published_rows()) {
    // The one that is published as it is published; the other from the row's scores.
    table.rows.push_back({row.name, row.protocol, score_text(row.is_nine ? row.average : average_sane9(row.scores), 1),
                          score_text(row.is_nine ? average_transfer8(row.scores) : row.average, 1)});
  }
  return table;
}

/// Whether any task of the run is one of GLUE's: the averages say nothing about others.
bool has_glue(const GlueResults& results) {
  return std::ranges::any_of(reported_order(), [&](const std::string& name) { return results.tasks.contains(name); });
}

/// Of GLUE's reported sets: whether a model of another name answers it.
bool is_scored_with_another(const std::string& name) {
  const auto& reported = reported_order();
  const auto own = std::ranges::find(builtin_tasks(), name, &TaskSpec::name);
  const bool is_glue = std::ranges::find(reported, name) != reported.end();
  return is_glue && (own == builtin_tasks().end() || !own->scored_with.empty());
}

std::string grid_lines(const GlueResults& results) {
  std::string lines;
  for (const std::string& name : ordered_names(results)) {
    const TaskResult& task = results.tasks.find(name)->second;
    if (is_scored_with_another(name)) {  // the grid is that of the other
      continue;
    }
    std::string points;
    for (const GridPoint& point : task.grid) {
      points += cat(points.empty() ? "" : ", ", util::format_number(point.learning_rate), " ",
                    util::format_fixed(point.mean, 2));
    }
    lines += points.empty() ? "" : cat("tried for ", name, ": ", points, "\n");
  }
  return lines.empty() ? lines : "\n" + lines;
}

std::string changes_line(const GlueResults& results) {
  std::string changed;
  for (const auto& [name, value] : results.overrides) {
    changed += cat(changed.empty() ? "changed from the protocol: " : ", ", name, " ", value);
  }
  return changed.empty() ? changed : changed + "\n";
}

}  // namespace

std::string format_results_table(const GlueResults& results, TableStyle style) {
  const Protocol& protocol = find_protocol(results.protocol);
  std::string text = cat("protocol ", protocol.name, ": ", protocol.summary, "\n", changes_line(results), "\n",
                         formatted(table_of_tasks(results), style), grid_lines(results));
  for (const auto& [task, reason] : results.failed) {
    text += cat("\nfailed: ", task, ": ", reason, "\n");
  }
  if (!has_glue(results)) {
    return text;
  }
  const std::string statistic = protocol.statistic == Statistic::kMedian ? "medians" : "means";
  text += cat("\n", formatted(table_of_averages(results), style), "\nsane9 is the mean of 9 ", statistic,
              ", mnli and mnli-mm each counting once; transfer8 of 8, mnli as the mean of its two sets\n");
  const std::vector<std::string> missing = missing_entries(task_scores(results));
  return missing.empty() ? text : cat(text, "both need ", util::join(missing, ", "), "\n");
}

}  // namespace bertcram::glue
