#include "operation_times.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace bertcram::train {
namespace {

using Clock = std::chrono::steady_clock;

struct Sum {
  double seconds = 0;
  int64_t calls = 0;
};

// LibTorch calls back plain functions: what they write to can be reached through globals alone.
std::mutex g_mutex;
std::map<std::string, Sum> g_sums;
thread_local double t_seconds_inside = 0;  // of what the running operation called

struct Running : at::ObserverContext {
  Clock::time_point start = Clock::now();
  double seconds_inside_caller = t_seconds_inside;
};

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& /*operation*/) {
  auto running = std::make_unique<Running>();
  t_seconds_inside = 0;
  return running;
}

void end(const at::RecordFunction& operation, at::ObserverContext* context) {
  const auto* const running = static_cast<Running*>(context);
  const double seconds = std::chrono::duration<double>(Clock::now() - running->start).count();
  {
    const std::scoped_lock lock(g_mutex);
    Sum& sum = g_sums[operation.name()];
    sum.seconds += seconds - t_seconds_inside;
    ++sum.calls;
  }
  t_seconds_inside = running->seconds_inside_caller + seconds;
}

}  // namespace

OperationTimes::OperationTimes() {
  const std::scoped_lock lock(g_mutex);
  g_sums.clear();
  callback_ = at::addGlobalCallback(at::RecordFunctionCallback(begin, end));
}

OperationTimes::~OperationTimes() { at::removeCallback(callback_); }

std::vector<OperationTime> OperationTimes::per_step(int64_t steps) {
  const std::scoped_lock lock(g_mutex);
  std::vector<OperationTime> times;
  for (const auto& [name, sum] : g_sums) {
    times.push_back({.name = name,
                     .seconds = sum.seconds / static_cast<double>(steps),
                     .calls = static_cast<double>(sum.calls) / static_cast<double>(steps)});
  }
  std::ranges::sort(times, std::ranges::greater{}, &OperationTime::seconds);
  return times;
}

}  // namespace bertcram::train
