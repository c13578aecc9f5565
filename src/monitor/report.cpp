#include "bertcram/monitor/report.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>

#include "bertcram/glue/published.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "run_facts.h"

namespace bertcram::monitor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Strings = std::vector<std::string>;

constexpr const char* kHead =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<style>\n"
    ":root{color-scheme:light dark;--line:#8885;--faint:#888}\n"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:54rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid var(--line)}\n"
    "table{border-collapse:collapse;font-size:.9rem;margin:1rem 0;display:block;overflow-x:auto}\n"
    "td{white-space:nowrap}td,th{padding:.25rem .7rem;text-align:right;border-bottom:1px solid "
    "var(--line);font-variant-numeric:tabular-nums}\n"
    "td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto;margin:.5rem 0}\n"
    "pre{overflow-x:auto;font-size:.8rem;border:1px solid var(--line);padding:.8rem}.note{color:var(--faint)}\n"
    "@media print{body{max-width:none;margin:0}svg,table{break-inside:avoid}details{display:none}}\n"
    "</style>\n";

std::string table_html(const std::vector<Strings>& rows) {
  std::string out = "<table>\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    const char* cell = i == 0 ? "th" : "td";
    out += "<tr>";
    for (const std::string& text : rows[i]) {
      out += cat("<", cell, ">", escape_html(text), "</", cell, ">");
    }
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

std::string text_or_dash(const std::optional<double>& value, int decimals) {
  return value ? util::format_fixed(*value, decimals) : "–";
}

std::string summary_html(const std::vector<RunFacts>& runs) {
  std::vector<Strings> rows = {
      {"run", "state", "budget", "steps", "tokens", "training time", "tokens/s", "held-out loss", "accuracy"}};
  for (const RunFacts& run : runs) {
    const auto accuracy = last_of(run.metrics.evaluations(), "eval_accuracy");
    const double seconds = run.status.elapsed_seconds;
    rows.push_back(
        {run.name, run.status.state, util::format_fixed(100 * run.status.budget_share, 0) + " %",
         util::format_count(run.status.step), util::format_count(run.status.tokens), util::format_duration(seconds),
         seconds > 0 ? util::format_count(util::whole_number(static_cast<double>(run.status.tokens) / seconds)) : "–",
         text_or_dash(last_of(run.metrics.evaluations(), "eval_loss"), 4),
         accuracy ? util::format_fixed(100 * *accuracy, 1) + " %" : "–"});
  }
  return table_html(rows);
}

std::string glue_html(const RunFacts& run) {
  const auto tasks = tasks_of(run);
  if (tasks.empty()) {
    return {};
  }
  std::vector<Strings> rows = {{"task", "metric", "median", "mean ± sd", "seeds"}};
  const auto references = glue::published_rows();
  for (const glue::PublishedRow& row : references) {
    if (row.flops > 0) {
      rows.front().push_back(row.name);
    }
  }
  for (const auto& [name, task] : tasks) {
    const size_t seeds = task.contains("seeds") && task["seeds"].is_array() ? task["seeds"].size() : 0;
    rows.push_back(
        {name, util::text_member(task, "metric"), util::format_fixed(number_of(task, "median"), 1),
         cat(util::format_fixed(number_of(task, "mean"), 1), " ± ", util::format_fixed(number_of(task, "sd"), 1)),
         std::to_string(seeds)});
    for (const glue::PublishedRow& row : references) {
      if (row.flops > 0) {
        const auto found = row.scores.find(name);
        rows.back().push_back(found == row.scores.end() ? "–" : util::format_fixed(found->second, 1));
      }
    }
  }
  std::string out =
      table_html(rows) + cat("<p class=\"note\">Protocol ", escape_html(util::text_member(run.glue, "protocol")));
  if (run.glue.contains("overrides") && run.glue["overrides"].is_object()) {
    for (const auto& [key, value] : run.glue["overrides"].items()) {
      out += cat(", ", escape_html(key), " ", escape_html(value.is_string() ? value.get<std::string>() : value.dump()));
    }
  }
  const auto average = average_of(run);
  return out + cat("; mean of nine numbers: ", average ? util::format_fixed(*average, 1) : "not all nine were run",
                   ". Published columns follow their own protocols.</p>\n");
}

/// What the model expects in gaps of held-out text; empty without samples.
std::string samples_html(const RunFacts& run) {
  const auto samples = samples_of(run);
  std::string out;
  for (const ShownSample& sample : samples) {
    std::string guesses;
    for (const auto& [token, probability] : sample.top) {
      const std::string text = cat(escape_html(token), " ", util::format_fixed(100 * probability, 0), " %");
      guesses += cat(guesses.empty() ? "" : ", ", token == sample.truth ? cat("<b>", text, "</b>") : text);
    }
    out += cat("<p>… ", escape_html(sample.before), " <mark>", escape_html(sample.truth), "</mark> ",
               escape_html(sample.after), " …</p>\n<p class=\"note\">expected: ", guesses, "</p>\n");
  }
  return out;
}

/// As it is given again: every digit, no separators.
std::string seed_of(const json& start) {
  const auto found = start.find("seed");
  return found != start.end() && found->is_number_integer() ? found->dump() : "–";
}

std::string environment_html(const RunFacts& run) {
  std::vector<Strings> rows = {{"session", "from step", "device", "bertcram", "LibTorch", "seed", "parameters"}};
  for (size_t i = 0; i < run.metrics.starts().size(); ++i) {
    const json& start = run.metrics.starts()[i];
    rows.push_back({std::to_string(i + 1), util::format_count(util::whole_number(number_of(start, "step"))),
                    util::text_member(start, "device"),
                    cat(util::text_member(start, "version"), " ", util::text_member(start, "commit")),
                    util::text_member(start, "torch_version"), seed_of(start),
                    util::format_count(util::whole_number(number_of(start, "parameters")))});
  }
  return rows.size() > 1 ? table_html(rows) : "";
}

/// Whether a filter of a manifest was on: 0 or 1 keeps everything in those with numbers.
bool is_on(const json& filter) {
  const json value = filter.is_object() && filter.contains("value") ? filter["value"] : json();
  if (value.is_number()) {
    return value != 0 && value != 1;
  }
  return value.is_array() ? !value.empty() : value == true || (value.is_string() && value != "none");
}

std::string data_html(const RunFacts& run) {
  if (!run.data.is_object() || !run.data.contains("counts") || !run.data["counts"].is_object()) {
    return "<p class=\"note\">The packed data are no longer where the run found them.</p>\n";
  }
  std::vector<Strings> rows = {{"of the text", "count"}};
  for (const auto& [name, value] : run.data["counts"].items()) {
    if (value.is_number_integer() && value != 0) {
      std::string words = name;
      std::ranges::replace(words, '_', ' ');
      rows.push_back({words, util::format_count(value.get<int64_t>())});
    }
  }
  if (run.data.contains("filters") && run.data["filters"].is_object()) {
    for (const auto& [name, filter] : run.data["filters"].items()) {
      const int64_t removed = util::whole_number(number_of(filter, "removed"));
      if (removed != 0 || is_on(filter)) {
        rows.push_back({cat("removed by ", name), util::format_count(removed)});
      }
    }
  }
  return table_html(rows);
}

std::string config_html(const RunFacts& run) {
  std::string out = "<p>Different from the defaults:</p>\n<pre>";
  for (const std::string& change : run.changes) {
    out += escape_html(change) + "\n";
  }
  return out + "</pre>\n<details><summary>config.yaml</summary><pre>" + escape_html(run.config) + "</pre></details>\n";
}

/// Colours and files go by name: runs of one name get as many of their parent folders before it as tell them apart, and a
/// number where one folder was given twice.
void tell_apart(std::vector<RunFacts>& runs, const std::vector<fs::path>& folders) {
  std::vector<fs::path> paths;
  for (const fs::path& folder : folders) {
    const fs::path whole = fs::absolute(folder).lexically_normal();
    paths.push_back(whole.has_filename() ? whole : whole.parent_path());
  }
  std::vector<fs::path> parents = paths;  // of each run, the folder that its name begins with
  const auto is_ambiguous = [&](size_t i) {
    for (size_t j = 0; j < runs.size(); ++j) {
      if (runs[j].name == runs[i].name && paths[j] != paths[i]) {
        return true;
      }
    }
    return false;
  };
  for (bool has_grown = true; has_grown;) {
    std::vector<std::string> names;
    has_grown = false;
    for (size_t i = 0; i < runs.size(); ++i) {
      const bool grows = is_ambiguous(i) && parents[i].parent_path().has_filename();
      parents[i] = grows ? parents[i].parent_path() : parents[i];
      names.push_back(grows ? cat(parents[i].filename().string(), "/", runs[i].name) : runs[i].name);
      has_grown = has_grown || grows;
    }
    for (size_t i = 0; i < runs.size(); ++i) {
      runs[i].name = names[i];
    }
  }
  for (size_t i = runs.size(); i-- > 0;) {
    const auto before = std::count(paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(i), paths[i]);
    runs[i].name += before > 0 ? cat(" (", before + 1, ")") : "";
  }
}

}  // namespace

std::string report_html(const std::vector<RunFacts>& runs, const std::vector<NamedPlot>& plots) {
  std::string title;
  for (const RunFacts& run : runs) {
    title += (title.empty() ? "" : ", ") + run.name;
  }
  std::string out = cat(kHead, "<title>", escape_html(title), " – bertcram</title></head><body>\n<h1>",
                        escape_html(title), "</h1>\n", summary_html(runs));
  for (const NamedPlot& plot : plots) {
    if (plot.name == "compute" || plot.name.starts_with("glue")) {
      continue;
    }
    out += plot.svg;
  }
  for (const RunFacts& run : runs) {
    const std::string of_run = runs.size() > 1 ? ": " + escape_html(run.name) : "";
    if (const std::string table = glue_html(run); !table.empty()) {
      out += cat("<h2>GLUE", of_run, "</h2>\n", table);
    }
  }
  for (const NamedPlot& plot : plots) {
    if (plot.name == "compute" || plot.name.starts_with("glue")) {
      out += plot.svg;
    }
  }
  for (const RunFacts& run : runs) {
    const std::string of_run = runs.size() > 1 ? ": " + escape_html(run.name) : "";
    if (const std::string samples = samples_html(run); !samples.empty()) {
      out += cat("<h2>Gaps in held-out text", of_run, "</h2>\n", samples);
    }
    out += cat("<h2>Sessions", of_run, "</h2>\n", environment_html(run), "<h2>Data", of_run, "</h2>\n", data_html(run),
               "<h2>Configuration", of_run, "</h2>\n", config_html(run));
    if (run.metrics.damaged_lines() > 0) {
      out += cat("<p class=\"note\">", run.metrics.damaged_lines(), " lines of metrics.jsonl could not be read.</p>\n");
    }
  }
  return util::valid_utf8(out + "</body></html>\n");  // names and settings need not be
}

void write_report(const std::vector<fs::path>& folders, const fs::path& output) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  std::vector<RunFacts> runs;
  runs.reserve(folders.size());
  for (const fs::path& folder : folders) {
    runs.push_back(read_run(folder, now.count()));
  }
  tell_apart(runs, folders);
  const std::vector<NamedPlot> plots = report_plots(runs);
  const fs::path folder = output.parent_path() / (output.stem().string() + "-plots");
  util::make_writable_directory(folder);
  std::set<std::string> names;
  for (const NamedPlot& plot : plots) {
    std::string name = plot.name;
    std::ranges::replace(name, '/', '-');
    while (!names.insert(name).second) {  // "a/b" and "a-b"
      name += "-2";
    }
    util::write_file_atomically(folder / (name + ".svg"), plot.svg, util::Durability::kVolatile);
  }
  util::write_file_atomically(output, report_html(runs, plots));
}

}  // namespace bertcram::monitor
