#include "bertcram/util/parallel.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "bertcram/util/error.h"

namespace bertcram::util {

int64_t thread_count(int64_t requested) {
  return requested > 0 ? requested : std::max<int64_t>(1, std::thread::hardware_concurrency());
}

void WorkerGroup::keep_first(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (!first_error_) {
    first_error_ = std::move(error);
  }
}

bool WorkerGroup::failed() {
  const std::lock_guard lock(mutex_);
  return first_error_ != nullptr;
}

void WorkerGroup::run(int64_t workers, const std::function<void(int64_t worker)>& body) {
  std::vector<std::jthread> threads;
  try {
    for (int64_t worker = 0; worker < workers; ++worker) {
      threads.emplace_back([this, worker, &body] {
        try {
          body(worker);
        } catch (...) {
          keep_first(std::current_exception());
        }
      });
    }
  } catch (const std::system_error& error) {  // no more threads allowed: the started ones see failed() and end
    keep_first(std::make_exception_ptr(
        ResourceError(cat("cannot start ", workers, " threads: ", error.what(), "; use fewer --threads"))));
  }
  threads.clear();  // joins
  if (first_error_) {
    std::rethrow_exception(first_error_);
  }
}

}  // namespace bertcram::util
