#pragma once
// The request to stop, as it travels from a signal to the loops that heed it.

#include <atomic>
#include <string>
#include <string_view>

#include "bertcram/util/error.h"

namespace bertcram::util {

/// Set by cli's signal handlers, read by every long loop. Lock-free, so that a handler may set it.
class StopFlag {
 public:
  void request(int signal_number) { signal_.store(signal_number); }
  bool requested() const { return signal_.load() != 0; }
  int signal_number() const { return signal_.load(); }

 private:
  std::atomic<int> signal_{0};
};

/// Ends a command that was asked to stop; its code is 128 + the signal's number.
class StoppedError : public Error {
 public:
  StoppedError(const StopFlag& flag, const std::string& message)
      : Error(static_cast<ExitCode>(128 + flag.signal_number()), message) {}
};

/// @throws StoppedError with the message if asked to stop
inline void throw_if_stopped(const StopFlag& flag, std::string_view message) {
  if (flag.requested()) {
    throw StoppedError(flag, std::string(message));
  }
}

/// Waits until a read of the descriptor would not block. @return false if asked to stop before that
bool wait_readable(int descriptor, const StopFlag& stop);

}  // namespace bertcram::util
