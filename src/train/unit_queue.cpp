#include "unit_queue.h"

#include <algorithm>

namespace bertcram::train {

std::optional<PlannedUnit> UnitQueue::take() {
  std::unique_lock lock(mutex_);
  while (!units_.empty()) {
    const auto ready = std::ranges::find_if(
        units_, [&](const PlannedUnit& unit) { return unit.start_from.empty() || models_.contains(unit.start_from); });
    if (ready != units_.end()) {
      const PlannedUnit unit = *ready;
      units_.erase(ready);
      return unit;
    }
    changed_.wait(lock);
  }
  return std::nullopt;
}

void UnitQueue::work(const std::function<bool()>& is_over, const std::function<void(const PlannedUnit&)>& run) {
  try {
    for (auto unit = take(); unit && !is_over(); unit = take()) {
      run(*unit);
    }
  } catch (...) {
    close();
    throw;
  }
  close();  // the unit that was taken last may be the one whose model another worker waits for
}

void UnitQueue::note_model(const std::string& task) {
  const std::scoped_lock lock(mutex_);
  models_.insert(task);
  changed_.notify_all();
}

std::vector<std::string> UnitQueue::give_up(const std::string& task, bool is_start_lost) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> ended = {task};
  for (const PlannedUnit& unit : units_) {
    if (is_start_lost && unit.start_from == task && std::ranges::find(ended, unit.id.task) == ended.end()) {
      ended.push_back(unit.id.task);
    }
  }
  std::erase_if(units_, [&](const PlannedUnit& unit) { return std::ranges::find(ended, unit.id.task) != ended.end(); });
  changed_.notify_all();
  return ended;
}

void UnitQueue::close() {
  const std::scoped_lock lock(mutex_);
  units_.clear();
  changed_.notify_all();
}

}  // namespace bertcram::train
