#pragma once
// Scores of a fine-tuning run: summary over seeds, results.json (docs/formats.md), and the printed table.
// All scores here are 0..100 (correlations -100..100).

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/glue/metrics.h"
#include "bertcram/glue/protocol.h"

namespace bertcram::glue {

struct SeedResult {
  int64_t seed = 0;
  MetricValues metrics = {};  ///< 0..100, see to_score_points
  double seconds = 0;         ///< wall-clock time of this fine-tuning run
};

struct TaskResult {
  std::string metric = {};  ///< the primary one; median, mean and sd are of it
  std::vector<SeedResult> seeds = {};
  double median = 0;
  double mean = 0;
  double sd = 0;  ///< sample standard deviation (n - 1); 0 for a single seed
};

struct GlueResults {
  std::string protocol = {};                          ///< "sane" or "transfer"
  std::map<std::string, std::string> overrides = {};  ///< values that differ from the protocol's
  std::map<std::string, TaskResult, std::less<>> tasks =
      {};  ///< by reported name: "mnli", "mnli-mm", user-defined ones too
};

struct GlueAverages {
  std::optional<double> sane9 = {};      ///< average_sane9 of the protocol's statistic
  std::optional<double> transfer8 = {};  ///< average_transfer8 of the same scores
};

/// Summarises the seeds of one task. REQUIRES: at least one seed, each holding a finite `metric` (else InternalError).
TaskResult summarise_seeds(Metric metric, std::vector<SeedResult> seeds);

/// The score of each task that enters the averages: its median under sane, its mean under transfer.
TaskScores task_scores(const GlueResults& results);

/// Both averages of the run's scores. They differ in which entries count and how; the metric of each task is the one of
/// the run's protocol in both.
GlueAverages compute_averages(const GlueResults& results);

/// results.json as text: {"protocol", "tasks": {name: {"metric", "seeds": [{"seed", "metrics", "seconds"}], "median",
/// "mean", "sd"}}, "averages": {"sane9", "transfer8"}}, tasks in GLUE order; an average that cannot be formed is null.
std::string results_to_json(const GlueResults& results);

/// Writes results.json in one step. @throws ResourceError
void save_results(const GlueResults& results, const std::filesystem::path& path);

/// Reads it back; keys it does not know are ignored. The averages are computed again.
/// @throws DataError naming the file and the key if it is missing, not JSON, or a key is missing or of the wrong kind
GlueResults load_results(const std::filesystem::path& path);

/// The table for people: a line per task in GLUE order, then both averages by name, "-" and what is missing where an
/// average cannot be formed. Ends with a newline.
std::string format_results_table(const GlueResults& results);

}  // namespace bertcram::glue
