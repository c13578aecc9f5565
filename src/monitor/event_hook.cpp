#include "bertcram/monitor/event_hook.h"

#include <csignal>
#include <nlohmann/json.hpp>
#include <system_error>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/shell_command.h"

namespace bertcram::monitor {
namespace {

/// While it lives, signals go to other threads, also for threads that are started meanwhile: a handler's work is to wake
/// those that wait.
class SignalsElsewhere {
 public:
  SignalsElsewhere() {
    sigset_t all{};
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsElsewhere() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsElsewhere(const SignalsElsewhere&) = delete;
  SignalsElsewhere& operator=(const SignalsElsewhere&) = delete;

 private:
  sigset_t before_{};
};

void warn(const std::string& text) { util::log_warning("on-event", text); }

}  // namespace

EventHook::EventHook(std::string command, EventHookLimits limits) : command_(std::move(command)), limits_(limits) {
  if (command_.empty()) {
    return;
  }
  try {
    const SignalsElsewhere masked;
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error& error) {
    warn(cat("nobody will be told of this run, there can be no more threads: ", error.what()));
  }
}

EventHook::~EventHook() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
    closed_at_ = Clock::now();
  }
  news_.notify_one();
  thread_.join();
}

void EventHook::send(const std::string& name, const nlohmann::json& message) {
  if (!thread_.joinable()) {
    return;
  }
  bool is_first_overflow = false;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({name, util::json_text(message) + "\n"});
    if (waiting_.size() > limits_.waiting) {
      waiting_.pop_front();
      is_first_overflow = !std::exchange(is_overflow_noted_, true);
    }
  }
  news_.notify_one();
  if (is_first_overflow) {
    warn("the command is slower than what happens: the oldest messages that wait for it are dropped");
  }
}

void EventHook::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] { return is_closing_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    const Message message = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    deliver(message);
    lock.lock();
  }
}

void EventHook::deliver(const Message& message) {
  const auto started = Clock::now();
  if (started >= deadline(started)) {
    warn(cat("'", message.name, "' was not told: the run has ended, and the command takes too long"));
    return;
  }
  const auto outcome = util::run_shell_command(command_, message.text, [&] { return deadline(started); });
  if (!outcome.is_good()) {
    warn(cat("the command for '", message.name, "' failed: ", outcome.text()));
  }
}

/// Of the message that is being delivered; the run may end meanwhile.
EventHook::Clock::time_point EventHook::deadline(Clock::time_point started) {
  const std::lock_guard lock(mutex_);
  const auto own = started + limits_.each;
  return is_closing_ ? std::min(own, closed_at_ + (waiting_.empty() ? limits_.last_at_end : limits_.others_at_end))
                     : own;
}

}  // namespace bertcram::monitor
