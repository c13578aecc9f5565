#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/glue/unit.h"

namespace bertcram::glue {

/// What the runs of a command have come to, to be watched: a line per task (and learning rate of a grid), a column per seed.
/// Thread-safe.
class UnitBoard {
 public:
  /// @param metric  by which the task is judged
  void expect(const UnitId& id, const std::string& metric);
  /// @param share  of the training that is done, 0..1
  void note_share(const UnitId& id, double share);
  void note_score(const UnitId& id, double score);
  /// None of the task's runs will count.
  void note_failure(const std::string& task);

  /// "cola  matthews  41.2  37 %  -  41.2": scores, the share of what is running, "-" for what is to come, at the end the
  /// median of the scores there are. A line each, with a head; empty without runs.
  std::string text() const;
  /// Whether all runs of the task have their scores.
  bool is_complete(const std::string& task) const;
  /// "2 of 8 tasks done"
  std::string tally() const;

 private:
  struct Cell {
    std::optional<double> share = {};
    std::optional<double> score = {};
  };
  struct Row {
    std::string task;
    double grid_rate = 0;
    std::string metric = {};
    bool failed = false;
    std::map<int64_t, Cell> cells = {};  ///< by seed
  };
  Row& row_of(const UnitId& id);
  static std::string text_of(const Cell& cell);
  static std::vector<double> scores_of(const Row& row);
  bool is_done(const std::string& task) const;

  mutable std::mutex mutex_;
  std::vector<Row> rows_;  ///< in the order in which they were expected
};

}  // namespace bertcram::glue
