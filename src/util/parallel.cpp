#include "bertcram/util/parallel.h"

#include <algorithm>

namespace bertcram::util {

int64_t thread_count(int64_t requested) {
  return requested > 0 ? requested : std::max<int64_t>(1, std::thread::hardware_concurrency());
}

bool WorkerGroup::failed() {
  const std::lock_guard lock(mutex_);
  return first_error_ != nullptr;
}

void WorkerGroup::run(int64_t workers, const std::function<void(int64_t worker)>& body) {
  std::vector<std::jthread> threads;
  for (int64_t worker = 0; worker < workers; ++worker) {
    threads.emplace_back([this, worker, &body] {
      try {
        body(worker);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!first_error_) {
          first_error_ = std::current_exception();
        }
      }
    });
  }
  threads.clear();  // joins
  if (first_error_) {
    std::rethrow_exception(first_error_);
  }
}

}  // namespace bertcram::util
