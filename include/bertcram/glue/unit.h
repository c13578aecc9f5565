#pragma once
// What one fine-tuning run leaves behind. A unit is a folder `<task>-seed<N>` of the output; it is done when its unit.json
// is there (docs/formats.md). All results are made from these files.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bertcram/glue/confidence.h"
#include "bertcram/glue/metrics.h"
#include "bertcram/glue/reader.h"

namespace bertcram::glue {

/// One fine-tuning run of a command.
struct UnitId {
  std::string task = {};
  int64_t seed = 0;
  double grid_rate = 0;  ///< the learning rate, where a protocol tries several; 0: it does not

  /// "rte-seed0", "rte-seed0-rate5e-05"
  std::string folder() const;
  /// "rte seed 0", "rte seed 0 at 5e-05"
  std::string text() const;
};

/// Scores on one dev set, 0..100.
struct SplitScores {
  std::string reported_name = {};  ///< "mnli-mm"
  int64_t examples = 0;
  int64_t truncated = 0;  ///< examples that were cut
  MetricValues metrics = {};
  MetricIntervals intervals = {};         ///< score_intervals, of the weights that count
  std::vector<ClassCounts> classes = {};  ///< in the order of the task's labels; empty for regression
  std::string predictions_hash = {};      ///< of predictions_file as save_unit found it; empty: there was none
};

struct UnitRecord {
  UnitId id = {};
  int64_t epoch = 0;  ///< whose weights were scored, 1 is the first
  int64_t training_examples = 0;
  int64_t truncated = 0;         ///< training examples that were cut
  double training_seconds = 0;   ///< of all sessions
  std::string runtime = {};      ///< device, threads, number format and examples per pass
  std::vector<SplitScores> dev;  ///< MNLI: matched, mismatched, ax
};

inline constexpr const char* kUnitFile = "unit.json";

/// Where the predictions for a dev set are.
std::filesystem::path predictions_file(const std::filesystem::path& folder, const std::string& reported_name);

/// @throws DataError if the predictions are not those that the unit was saved with. Units of before the hash was kept pass.
void check_predictions(const std::filesystem::path& folder, const std::string& reported_name);

/// Writes unit.json, which makes the unit done, with the hashes of the predictions beside it. @throws ResourceError
void save_unit(const UnitRecord& record, const std::filesystem::path& folder);

/// nullopt if the unit is not done.
/// @throws DataError if its file is damaged, or has been changed since it was written
std::optional<UnitRecord> load_unit(const std::filesystem::path& folder);

/// A run's value of the metric on one of its dev sets. @throws InternalError unless it is there and finite
double score_of(const SplitScores& scores, const std::string& metric);

/// The mean of the runs' first dev sets at each learning rate, the highest rate first; at 0 without a search. Not a bit of
/// it depends on the order of the records.
std::map<double, double, std::greater<>> mean_by_rate(std::span<const UnitRecord> records, const std::string& metric);

/// Of a search, the learning rate with the best mean; of equal ones the highest. 0 without a search.
/// REQUIRES: at least one record.
double best_rate(std::span<const UnitRecord> records, const std::string& metric);

/// The run at the best rate with the best score on its first dev set, of equal ones that with the earlier seed: it does not
/// depend on the order of the records. nullopt without any.
std::optional<UnitId> best_unit(std::span<const UnitRecord> records, const std::string& metric);

/// Of a search, the best run at each rate. While runs are missing, best_unit may still become any of them, as the best rate
/// is one of means; within a rate it only moves to runs that come.
std::vector<UnitId> best_of_each_rate(std::span<const UnitRecord> records, const std::string& metric);

/// Scores of a task's outputs on a labelled split, but for their intervals. @param outputs  rows of task.classes() numbers
/// (or one)
SplitScores score_split(const TaskSpec& task, const Dataset& dataset, std::span<const float> outputs);

/// The intervals of these scores: 1,000 times the work of the scores themselves.
MetricIntervals score_intervals(const TaskSpec& task, const Dataset& dataset, std::span<const float> outputs);

/// Writes a TSV of what was predicted: `line label prediction` and the probability of each class, or `line target
/// prediction`. The columns label and target are left out where there are none. @throws ResourceError
void save_predictions(const TaskSpec& task, const Dataset& dataset, std::span<const float> outputs,
                      const std::filesystem::path& path);

}  // namespace bertcram::glue
