#pragma once
// A training run as it looks from outside, while another process writes it: metrics.jsonl, status.json, config.yaml.

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::monitor {

/// Numbers by step. A row for each line; what a line lacks is NaN, and so is what it has as null.
struct MetricsTable {
  std::vector<double> steps = {};
  std::map<std::string, std::vector<double>> columns =
      {};  ///< each as long as `steps`; "tokens" and "elapsed_seconds" too

  size_t size() const { return steps.size(); }
};

/// metrics.jsonl, read on from where the last look ended. A line that is still being written is left for the next look; one
/// that is no JSON object is counted and passed over; a file that was cut, as a resumed run does, or replaced is read anew.
class MetricsReader {
 public:
  /// @param within  a canonical folder; if given, a file that links lead out of it counts as missing
  explicit MetricsReader(std::filesystem::path file, std::filesystem::path within = {})
      : file_(std::move(file)), within_(std::move(within)) {}

  /// Reads what has come. A file that is not there (any more) leaves what was read.
  void refresh();

  const MetricsTable& training() const { return training_; }
  const MetricsTable& evaluations() const { return evaluations_; }
  /// The `start` lines: one per session.
  const std::vector<nlohmann::json>& starts() const { return starts_; }
  /// Gaps and what the model expected in them, `samples` at the last `step` that had some; null without.
  const nlohmann::json& samples() const { return samples_; }
  int64_t damaged_lines() const { return damaged_lines_; }

 private:
  void take(std::string_view line);
  void forget();

  std::filesystem::path file_;
  std::filesystem::path within_;
  int64_t offset_ = 0;     ///< of the first byte that was not taken
  std::string last_line_;  ///< before that, to tell whether the file is still the same
  MetricsTable training_;
  MetricsTable evaluations_;
  std::vector<nlohmann::json> starts_;
  nlohmann::json samples_;
  int64_t damaged_lines_ = 0;
};

/// What status.json says of a run, and its age. Every run that can be listed has one.
struct RunStatus {
  std::string state = "unknown";  ///< running, stopped, diverged, failed, finished; stale: `running`, but long silent
  int64_t step = 0;
  int64_t tokens = 0;
  double budget_share = 0;  ///< 0..1
  double elapsed_seconds = 0;
  double age_seconds = 0;  ///< since it was written
};

/// @param now     unix time. A file that is missing or damaged gives state unknown.
/// @param within  as of MetricsReader
RunStatus read_status(const std::filesystem::path& run, double now, const std::filesystem::path& within = {});

/// The folders of runs in `folder`, itself included, by the name under which they are shown: the path from there. Links and
/// hidden names are passed over, files that links lead out of `folder` make no run; a run's own folders are not looked into;
/// three levels deep.
std::map<std::string, std::filesystem::path> find_runs(const std::filesystem::path& folder);

}  // namespace bertcram::monitor
