#pragma once
// Threads for work that comes in batches.

#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bertcram::util {

/// `requested`, or the number of cores when that is 0.
int64_t thread_count(int64_t requested);

/// Runs `body(worker)` on `workers` threads and waits; the first exception is rethrown after all have stopped.
/// A body should stop early when `failed()` of the group is true.
/// @throws ResourceError if the system allows no more threads
class WorkerGroup {
 public:
  void run(int64_t workers, const std::function<void(int64_t worker)>& body);
  bool failed();

 private:
  void keep_first(std::exception_ptr error);

  std::mutex mutex_;
  std::exception_ptr first_error_;
};

}  // namespace bertcram::util
