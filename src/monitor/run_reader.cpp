#include "bertcram/monitor/run_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "file_view.h"

namespace bertcram::monitor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kLongestLine = 1U << 20U;  ///< what is longer is no metrics line

double number_of(const json& value) { return value.is_number() ? value.get<double>() : kNone; }

void add_row(MetricsTable& table, const json& line) {
  const size_t rows = table.steps.size();
  table.steps.push_back(number_of(line.at("step")));
  for (const auto& [key, value] : line.items()) {
    if (key != "step" && (value.is_number() || value.is_null())) {
      std::vector<double>& column = table.columns[key];
      column.resize(rows, kNone);
      column.push_back(number_of(value));
    }
  }
  for (auto& [key, column] : table.columns) {
    column.resize(rows + 1, kNone);
  }
}

}  // namespace

void MetricsReader::forget() { *this = MetricsReader(file_, within_); }

void MetricsReader::refresh() {
  const FileView file(file_, within_);
  if (!file.is_open()) {
    return;
  }
  const auto before = static_cast<int64_t>(last_line_.size());
  if (file.size() < offset_ || file.read(offset_ - before, last_line_.size()) != last_line_) {
    forget();
  }
  constexpr size_t kChunk = 1U << 20U;
  std::string text;
  bool is_too_long = false;
  for (;;) {
    const std::string chunk = file.read(offset_ + static_cast<int64_t>(text.size()), kChunk);
    text += chunk;
    size_t begin = 0;
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      last_line_ = text.substr(begin, end + 1 - begin);
      if (is_too_long) {
        ++damaged_lines_;
      } else {
        take(std::string_view(last_line_).substr(0, end - begin));
      }
      is_too_long = false;
      begin = end + 1;
    }
    offset_ += static_cast<int64_t>(begin);
    text.erase(0, begin);
    if (chunk.size() < kChunk) {
      return;
    }
    if (text.size() > kLongestLine) {  // passed over piece by piece
      offset_ += static_cast<int64_t>(text.size());
      last_line_ = text.substr(text.size() - 1);
      text.clear();
      is_too_long = true;
    }
  }
}

void MetricsReader::take(std::string_view line) {
  const json parsed = util::try_parse_json(line);
  if (!parsed.is_object()) {
    damaged_lines_ += line.empty() ? 0 : 1;
    return;
  }
  if (parsed.contains("event")) {
    if (util::text_member(parsed, "event") == "start") {
      starts_.push_back(parsed);
    }
    return;
  }
  const auto step = parsed.find("step");
  if (step == parsed.end() || !step->is_number()) {
    ++damaged_lines_;
    return;
  }
  if (const auto samples = parsed.find("samples"); samples != parsed.end()) {
    samples_ = {{"step", *step}, {"samples", *samples}};
  }
  add_row(parsed.contains("eval_loss") ? evaluations_ : training_, parsed);
}

RunStatus read_status(const fs::path& run, double now, const fs::path& within) {
  constexpr double kSilentSeconds = 180;  // a heartbeat comes every quarter of a minute, but not within an evaluation
  constexpr size_t kMostBytes = 1U << 16U;
  const FileView file(run / "status.json", within);
  const json status = file.is_open() ? util::try_parse_json(file.read(0, kMostBytes)) : json();
  const auto number = [&](const char* key) {
    const double value = status.is_object() && status.contains(key) ? number_of(status[key]) : 0;
    return std::isfinite(value) ? value : 0;
  };
  const double silent_seconds = now - number("unix_time");
  RunStatus found = {.step = util::whole_number(number("step")),
                     .tokens = util::whole_number(number("tokens")),
                     .budget_share = std::clamp(number("budget_share"), 0.0, 1.0),
                     .elapsed_seconds = number("elapsed_seconds"),
                     .age_seconds = std::max(0.0, silent_seconds)};
  static constexpr std::array<const char*, 5> kStates = {"running", "stopped", "diverged", "failed", "finished"};
  const std::string state = util::text_member(status, "state");
  if (std::ranges::find(kStates, state) != kStates.end()) {
    // A heartbeat from the future is of a clock that was set since: nobody can tell how old it is.
    found.state = state == "running" && std::abs(silent_seconds) > kSilentSeconds ? "stale" : state;
  }
  return found;
}

std::map<std::string, fs::path> find_runs(const fs::path& folder) {
  constexpr int kLevels = 3;
  std::error_code unknown_folder;
  const fs::path within = fs::weakly_canonical(folder, unknown_folder);
  std::map<std::string, fs::path> runs;
  const std::function<void(const fs::path&, const std::string&, int)> look = [&](const fs::path& path,
                                                                                 const std::string& name, int levels) {
    std::error_code ignored;
    if (FileView(path / "status.json", within).is_open() || FileView(path / "metrics.jsonl", within).is_open()) {
      runs.emplace(name.empty() ? fs::absolute(path).lexically_normal().filename().string() : name, path);
      return;
    }
    if (levels == 0) {
      return;
    }
    for (fs::directory_iterator entry(path, fs::directory_options::skip_permission_denied, ignored), end;
         !ignored && entry != end; entry.increment(ignored)) {
      std::error_code unknown;  // an entry that goes meanwhile ends no search
      const std::string leaf = entry->path().filename().string();
      if (entry->is_symlink(unknown) || !entry->is_directory(unknown) || leaf.starts_with('.')) {
        continue;
      }
      look(entry->path(), name.empty() ? leaf : cat(name, "/", leaf), levels - 1);
    }
  };
  look(folder, "", kLevels);
  return runs;
}

}  // namespace bertcram::monitor
