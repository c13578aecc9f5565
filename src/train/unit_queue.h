#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "finetune_plan.h"

namespace bertcram::train {

/// Hands the runs of a command to its workers, in order; a run whose start is another task's model waits for that.
class UnitQueue {
 public:
  explicit UnitQueue(std::vector<PlannedUnit> units) : units_(std::move(units)) {}

  /// The next run whose start is there; waits while others may still provide it. nullopt: there is no more work.
  std::optional<PlannedUnit> take();
  /// Runs what a worker takes until nothing is left, or it `is_over`; others need not wait then, nor if a run throws.
  void work(const std::function<bool()>& is_over, const std::function<void(const PlannedUnit&)>& run);
  /// The task's first model is there.
  void note_model(const std::string& task);
  /// No more runs of the task, nor, if the run whose model they need has failed, of those that start from it.
  /// @return the names of all tasks that this ends
  std::vector<std::string> give_up(const std::string& task, bool is_start_lost);
  /// No more runs at all.
  void close();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<PlannedUnit> units_;  ///< not taken yet
  std::set<std::string> models_;
};

}  // namespace bertcram::train
