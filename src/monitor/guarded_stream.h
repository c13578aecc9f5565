#pragma once
// A connection that cannot be held up: bounds on how much a request may say and how long it may take to say it.

#include <httplib.h>
#include <chrono>
#include <string>

#include "bertcram/util/stop.h"

namespace bertcram::monitor {

struct StreamLimits {
  size_t request_bytes = size_t{1} << 15;          ///< of request line and headers; bodies are not read
  std::chrono::milliseconds request_time{10'000};  ///< from the first byte of a request to the end of its headers
  std::chrono::milliseconds idle_time{5'000};      ///< before the first byte
  std::chrono::milliseconds write_time{10'000};    ///< without any progress
};

/// httplib's own stream has a time limit for each byte and none for all of them, nor a limit of headers.
class GuardedStream : public httplib::Stream {
 public:
  /// @param socket  is not closed
  GuardedStream(int socket, const StreamLimits& limits, const util::StopFlag& stop)
      : socket_(socket), limits_(limits), stop_(stop) {}

  /// Waits for the first byte of a request. @return false: none came in time, the peer is gone, or a stop was asked for
  bool wait_for_request();
  /// Whether what was refused of the last request made the connection unusable.
  bool is_broken() const { return is_broken_; }

  bool is_readable() const override { return true; }
  /// Whether the peer is there still. Asked while there is nothing to write.
  bool is_writable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  int socket() const override { return socket_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool fill(Clock::time_point deadline);
  void refuse(const char* status);

  int socket_;
  const StreamLimits& limits_;
  const util::StopFlag& stop_;
  std::string buffer_;  ///< what came and was not read yet, from `begin_` on
  size_t begin_ = 0;
  size_t request_bytes_ = 0;
  Clock::time_point request_deadline_;
  bool is_broken_ = false;
};

}  // namespace bertcram::monitor
