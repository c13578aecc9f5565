#include <algorithm>
#include <array>

#include "bertcram/glue/results.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "results_order.h"

namespace bertcram::glue {
namespace {

using Row = std::array<std::string, 5>;  // task, metric, median, mean ± sd, seeds

/// Columns on a terminal: UTF-8 continuation bytes take none.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

Row make_row(const std::string& name, const TaskResult& task) {
  std::string spread = util::format_fixed(task.mean, 2);
  if (task.seeds.size() > 1) {
    spread += " ± " + util::format_fixed(task.sd, 2);
  }
  return {name, task.metric, util::format_fixed(task.median, 2), spread, std::to_string(task.seeds.size())};
}

/// The first two columns to the left, the numbers to the right.
std::string format_rows(const std::vector<Row>& rows) {
  std::array<size_t, 5> widths{};
  for (const Row& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], width_of(row[column]));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      const std::string padding(widths[column] - width_of(row[column]), ' ');
      text += column == 0 ? "" : "  ";
      text += column < 2 ? row[column] + padding : padding + row[column];
    }
    text += '\n';
  }
  return text;
}

std::string average_line(const std::string& name, const std::optional<double>& average, const std::string& meaning,
                         const std::vector<std::string>& missing) {
  const std::string value = average ? util::format_fixed(*average, 2) : "-";
  const std::string note = average ? meaning : "needs " + util::join(missing, ", ");
  return cat(name, std::string(11 - name.size(), ' '), value,
             std::string(std::max<size_t>(value.size(), 6) - value.size(), ' '), "  ", note, "\n");
}

}  // namespace

std::string format_results_table(const GlueResults& results) {
  const Protocol& protocol = find_protocol(results.protocol);
  std::vector<Row> rows = {{"task", "metric", "median", "mean ± sd", "seeds"}};
  for (const std::string& name : ordered_names(results)) {
    rows.push_back(make_row(name, results.tasks.find(name)->second));
  }
  const GlueAverages averages = compute_averages(results);
  const std::vector<std::string> missing = missing_entries(task_scores(results));
  const std::string statistic = protocol.statistic == Statistic::kMedian ? "medians" : "means";
  std::string changed;
  for (const auto& [name, value] : results.overrides) {
    changed += cat(changed.empty() ? "changed from the protocol: " : ", ", name, " ", value);
  }
  return cat("protocol ", protocol.name, ": ", protocol.summary, "\n", changed, changed.empty() ? "" : "\n", "\n",
             format_rows(rows), "\n",
             average_line("sane9", averages.sane9, "mean of 9 " + statistic + ", mnli and mnli-mm each counting once",
                          missing),
             average_line("transfer8", averages.transfer8,
                          "mean of 8 " + statistic + ", mnli as the mean of its two sets", missing));
}

}  // namespace bertcram::glue
