// Test tool, preloaded (LD_PRELOAD) into bertcram: the wall clock jumps ten years forth and back with every look at it, as
// when a machine gets its time from the network, or wakes up. Monotonic clocks go on as they are.

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

namespace {

long jump() {
  constexpr long kTenYears = 315'360'000;
  static std::atomic<long> looks = 0;
  return looks.fetch_add(1) % 2 == 0 ? kTenYears : -kTenYears;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    now->tv_sec += jump();
  }
  return static_cast<int>(result);
}

int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec precise{};
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec precise{};
  clock_gettime(CLOCK_REALTIME, &precise);
  if (out != nullptr) {
    *out = precise.tv_sec;
  }
  return precise.tv_sec;
}
}
