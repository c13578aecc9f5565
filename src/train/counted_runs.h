#pragma once
// The runs in a folder of fine-tuning results that count: a command's own, and those that other commands left.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "bertcram/glue/unit.h"

namespace bertcram::train {

class CountedRuns {
 public:
  using ByTask = std::map<std::string, std::vector<glue::UnitRecord>>;

  void add(const glue::UnitRecord& record) { own_[record.id.task].push_back(record); }
  void add_other(const glue::UnitRecord& record) { others_[record.id.task].push_back(record); }

  const ByTask& own() const { return own_; }
  bool is_own(const glue::UnitId& id) const {
    const auto task = own_.find(id.task);
    return task != own_.end() && std::ranges::any_of(task->second, [&](const glue::UnitRecord& record) {
             return record.id.folder() == id.folder();
           });
  }
  ByTask all() const {
    ByTask all = others_;
    for (const auto& [task, records] : own_) {
      all[task].insert(all[task].end(), records.begin(), records.end());
    }
    return all;
  }
  std::vector<glue::UnitRecord> of(const std::string& task) const {
    const ByTask all = this->all();
    const auto found = all.find(task);
    return found == all.end() ? std::vector<glue::UnitRecord>() : found->second;
  }
  /// Whether all runs of the task have scores on the dev set.
  bool all_have(const std::string& task, const std::string& set) const {
    return std::ranges::all_of(of(task), [&](const glue::UnitRecord& record) {
      return std::ranges::count(record.dev, set, &glue::SplitScores::reported_name) > 0;
    });
  }

 private:
  ByTask own_;
  ByTask others_;
};

}  // namespace bertcram::train
