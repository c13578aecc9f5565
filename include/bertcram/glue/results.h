#pragma once
// Scores of a fine-tuning command: summary over seeds, results.json (docs/formats.md), and the printed table.
// All scores here are 0..100 (correlations -100..100).

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bertcram/glue/protocol.h"
#include "bertcram/glue/unit.h"

namespace bertcram::glue {

/// One run of a task on one dev set.
struct SeedResult {
  int64_t seed = 0;
  int64_t epoch = 0;  ///< whose weights count
  SplitScores scores = {};
};

/// A learning rate that a protocol tried.
struct GridPoint {
  double learning_rate = 0;
  double mean = 0;  ///< over seeds, of the primary metric on the task's first dev set
};

struct TaskResult {
  std::string metric = {};               ///< the primary one; median, mean and sd are of it
  std::vector<std::string> labels = {};  ///< in the order of the scores' classes
  std::vector<SeedResult> seeds = {};
  double median = 0;
  double mean = 0;
  double sd = 0;                        ///< sample standard deviation (n - 1); 0 for a single seed
  std::vector<GridPoint> grid = {};     ///< empty without a search; the seeds are those of the best point
  std::optional<double> baseline = {};  ///< of a bag of words, by the same metric
};

struct GlueResults {
  std::string protocol = {};                          ///< a name that find_protocol takes
  std::map<std::string, std::string> overrides = {};  ///< values that differ from the protocol's
  std::map<std::string, TaskResult, std::less<>> tasks =
      {};                                          ///< by reported name: "mnli", "mnli-mm", user-defined ones too
  std::map<std::string, std::string> failed = {};  ///< task → why it has no result
};

struct GlueAverages {
  std::optional<double> sane9 = {};      ///< average_sane9 of the protocol's statistic
  std::optional<double> transfer8 = {};  ///< average_transfer8 of the same scores
};

/// Adds what the runs of a task gave, one entry per dev set that all of them have: AX may have come later than some. Of a
/// search, the runs of the best point count.
/// REQUIRES: at least one record, each with a finite primary metric on its dev sets (else InternalError).
void add_task(GlueResults& results, const TaskSpec& task, std::span<const UnitRecord> records);

/// The score of each task that enters the averages: its median or mean, as the protocol has it.
TaskScores task_scores(const GlueResults& results);

/// Both averages of the run's scores. They differ in which entries count and how; the metric of each task is the one of
/// the run's protocol in both.
GlueAverages compute_averages(const GlueResults& results);

/// results.json as text: {"protocol", "overrides", "tasks": {name: {"metric", "seeds": [{"seed", "metrics", …}], "median",
/// "mean", "sd"}}, "averages": {"sane9", "transfer8"}}, tasks in GLUE order; an average that cannot be formed is null. It
/// has nothing that differs between two runs of the same command, as times would.
std::string results_to_json(const GlueResults& results);

enum class TableStyle { kPlain, kMarkdown };

/// The table for people: the protocol, a line per task in GLUE order, both averages by name ("-" and what is missing where
/// one cannot be formed), and published rows to compare with. Ends with a newline.
std::string format_results_table(const GlueResults& results, TableStyle style = TableStyle::kPlain);

}  // namespace bertcram::glue
