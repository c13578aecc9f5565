#include "connection_threads.h"

#include <system_error>
#include <utility>

#include "bertcram/util/error.h"

namespace bertcram::monitor {

ConnectionThreads::ConnectionThreads(size_t most) : most_(most) {
  BC_CHECK(most >= 1);
  threads_.reserve(most);
  const std::lock_guard lock(mutex_);
  start_one();
  if (was_refused_) {
    throw ResourceError(
        "the machine gives no thread to answer with; raise the limits of processes and memory (ulimit -u, ulimit -v)");
  }
}

/// REQUIRES: mutex_ is held.
void ConnectionThreads::start_one() {
  try {
    threads_.emplace_back([this] { run(); });
    ++idle_;
    was_refused_ = false;
  } catch (const std::system_error&) {  // asked again when more work comes
    was_refused_ = true;
  }
}

void ConnectionThreads::enqueue(Work work) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(work));
    if (waiting_.size() >= idle_ && threads_.size() < most_) {
      start_one();
    }
  }
  has_news_.notify_one();
}

void ConnectionThreads::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    has_news_.wait(lock, [this] { return !waiting_.empty() || is_over_; });
    if (waiting_.empty()) {
      return;
    }
    const Work work = std::move(waiting_.front());
    waiting_.pop_front();
    --idle_;
    lock.unlock();
    work();
    lock.lock();
    ++idle_;
  }
}

void ConnectionThreads::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  has_news_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) {
      thread.join();
    }
  }
}

size_t ConnectionThreads::most() const {
  const std::lock_guard lock(mutex_);
  return was_refused_ ? threads_.size() : most_;
}

size_t ConnectionThreads::count() const {
  const std::lock_guard lock(mutex_);
  return threads_.size();
}

}  // namespace bertcram::monitor
