#pragma once
// What `bench` found out about a machine, kept for `plan`: $XDG_CACHE_HOME/bertcram/machines.json, or ~/.cache/….

#include <filesystem>
#include <optional>
#include <string>

#include "bertcram/plan/machine.h"

namespace bertcram::plan {

/// A measurement beside its prediction.
struct Record {
  double measured = 0;    ///< tokens per second
  double predicted = 0;   ///< likewise, by the model and the rates of the same minute
  std::string what = {};  ///< that was measured
  int64_t unix_time = 0;  ///< when it was kept

  double share() const { return measured / predicted; }
};

/// @return nullopt where the environment names no home
std::optional<std::filesystem::path> record_file();

/// The last one of a machine of this model in this precision, with as many threads and the same kernels. Whatever is wrong with the file
/// counts as nothing found.
std::optional<Record> find_record(const Machine& machine);

/// Replaces it. What goes wrong is a warning: it is a convenience.
void keep_record(const Machine& machine, const Record& record);

}  // namespace bertcram::plan
