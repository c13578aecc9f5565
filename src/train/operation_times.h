#pragma once

#include <cstdint>
#include <vector>

#include "bertcram/train/bench.h"

namespace bertcram::train {

/// Times every operation that LibTorch records, from all threads, while the object lives; one at a time in a process.
/// Recording costs about a microsecond per operation.
class OperationTimes {
 public:
  OperationTimes();
  ~OperationTimes();
  OperationTimes(const OperationTimes&) = delete;
  OperationTimes& operator=(const OperationTimes&) = delete;

  /// Longest first. @param steps  that were taken since the beginning
  static std::vector<OperationTime> per_step(int64_t steps);

 private:
  uint64_t callback_;
};

}  // namespace bertcram::train
