#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bertcram::monitor {

/// Threads for connections, started as they are needed, one ahead: a machine that trains has few to spare. Where it gives no
/// more, work waits for those that are there. Work is given by one thread at a time, and throws nothing.
class ConnectionThreads {
 public:
  using Work = std::function<void()>;

  /// Starts the first one. @param most  >= 1  @throws ResourceError if the machine gives none
  explicit ConnectionThreads(size_t most);
  ~ConnectionThreads() { shutdown(); }
  ConnectionThreads(const ConnectionThreads&) = delete;
  ConnectionThreads& operator=(const ConnectionThreads&) = delete;

  void enqueue(Work work);
  /// Waits for all work that was given.
  void shutdown();

  /// How many there can be at once: `most`, or those that are there if the machine gave no more when last asked.
  size_t most() const;
  /// How many were started.
  size_t count() const;

 private:
  void start_one();
  void run();

  mutable std::mutex mutex_;
  std::condition_variable has_news_;
  std::deque<Work> waiting_;
  size_t idle_ = 0;  ///< threads that are not at work, the one that was just started too
  const size_t most_;
  bool was_refused_ = false;
  bool is_over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bertcram::monitor
