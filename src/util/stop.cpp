#include "bertcram/util/stop.h"

#include <poll.h>

namespace bertcram::util {
namespace {

// A signal that comes just before poll() is noticed this much later; one that comes during it, at once.
constexpr int kLongestWaitMilliseconds = 200;

}  // namespace

bool wait_readable(int descriptor, const StopFlag& stop) {
  pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
  while (!stop.requested()) {
    if (::poll(&waiting, 1, kLongestWaitMilliseconds) > 0) {
      return true;
    }
  }
  return false;
}

}  // namespace bertcram::util
