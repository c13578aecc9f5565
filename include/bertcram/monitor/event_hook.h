#pragma once
// --on-event: a command of the user's that hears of what happens in a run, each time with one JSON object on its stdin.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <thread>

namespace bertcram::monitor {

struct EventHookLimits {
  std::chrono::milliseconds each = std::chrono::seconds(30);  ///< then it is killed
  /// At the end of a run: for what still runs or waits, and until when the last message may take.
  std::chrono::milliseconds others_at_end = std::chrono::seconds(5);
  std::chrono::milliseconds last_at_end = std::chrono::seconds(15);
  size_t waiting = 8;  ///< messages; of more the oldest are dropped
};

/// Calls the command from a thread of its own, one message after the other: nothing that it does, or fails to do, holds up or
/// ends a run; a warning in the log says what went wrong, without the command, which may hold a password.
class EventHook {
 public:
  /// @param command  for /bin/sh; empty: nobody is told
  explicit EventHook(std::string command, EventHookLimits limits = {});
  /// Waits until the last message is delivered, within the limits.
  ~EventHook();
  EventHook(const EventHook&) = delete;
  EventHook& operator=(const EventHook&) = delete;

  /// @param name  of what happened, for warnings
  void send(const std::string& name, const nlohmann::json& message);

 private:
  using Clock = std::chrono::steady_clock;
  struct Message {
    std::string name;
    std::string text;
  };

  void work();
  void deliver(const Message& message);
  Clock::time_point deadline(Clock::time_point started);

  std::string command_;
  EventHookLimits limits_;
  std::mutex mutex_;  ///< of what follows
  std::condition_variable news_;
  std::deque<Message> waiting_;
  bool is_closing_ = false;
  bool is_overflow_noted_ = false;
  Clock::time_point closed_at_ = {};
  std::thread thread_;
};

}  // namespace bertcram::monitor
