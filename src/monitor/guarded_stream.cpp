#include "guarded_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace bertcram::monitor {
namespace {

using std::chrono::milliseconds;

// A stop is noticed this much later.
constexpr milliseconds kLongestWait{500};

/// @return whether the socket is ready for `events`; false at the deadline or a stop
bool wait_for(int socket, short events, std::chrono::steady_clock::time_point deadline, const util::StopFlag& stop) {
  while (!stop.requested()) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= milliseconds(0)) {  // rounded up: not before the deadline
      return false;
    }
    pollfd waiting{.fd = socket, .events = events, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min(left, kLongestWait).count())) > 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool GuardedStream::wait_for_request() {
  request_bytes_ = 0;
  const bool is_there = begin_ < buffer_.size() || fill(Clock::now() + limits_.idle_time);
  request_deadline_ = Clock::now() + limits_.request_time;
  return is_there;
}

bool GuardedStream::fill(Clock::time_point deadline) {
  std::array<char, 4096> chunk{};
  if (is_broken_ || !wait_for(socket_, POLLIN, deadline, stop_)) {
    return false;
  }
  const ssize_t got = ::recv(socket_, chunk.data(), chunk.size(), 0);
  if (got <= 0) {
    return false;
  }
  buffer_.assign(chunk.data(), static_cast<size_t>(got));
  begin_ = 0;
  return true;
}

bool GuardedStream::is_writable() const {
  pollfd asked{.fd = socket_, .events = POLLRDHUP, .revents = 0};
  return !is_broken_ && ::poll(&asked, 1, 0) == 0;
}

ssize_t GuardedStream::read(char* data, size_t size) {
  if (request_bytes_ >= limits_.request_bytes) {
    refuse("431 Request Header Fields Too Large");
    return -1;
  }
  if (begin_ == buffer_.size() && !fill(request_deadline_)) {
    if (Clock::now() >= request_deadline_) {
      refuse("408 Request Timeout");
    }
    is_broken_ = true;
    return -1;
  }
  const size_t taken = std::min({size, buffer_.size() - begin_, limits_.request_bytes - request_bytes_});
  std::memcpy(data, buffer_.data() + begin_, taken);
  begin_ += taken;
  request_bytes_ += taken;
  return static_cast<ssize_t>(taken);
}

/// Says so itself, once: what httplib would answer to a request that ends too early is something else.
void GuardedStream::refuse(const char* status) {
  if (!is_broken_) {
    const std::string answer = std::string("HTTP/1.1 ") + status + "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    write(answer.data(), answer.size());
    is_broken_ = true;
  }
}

ssize_t GuardedStream::write(const char* data, size_t size) {
  size_t done = 0;
  while (done < size) {
    if (is_broken_ || !wait_for(socket_, POLLOUT, Clock::now() + limits_.write_time, stop_)) {
      is_broken_ = true;
      return -1;
    }
    const ssize_t sent = ::send(socket_, data + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
    } else if (errno != EAGAIN && errno != EINTR) {
      is_broken_ = true;
      return -1;
    }
  }
  return static_cast<ssize_t>(size);
}

void GuardedStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void GuardedStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace bertcram::monitor
