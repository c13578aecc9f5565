// What training asks of the process it runs in.

#include "bertcram/train/runtime.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace bertcram::train {
namespace {

int64_t page_faults() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_minflt;
}

TEST(RuntimeTest, MemoryThatAStepFreesIsKeptForTheNext) {
  resolve_runtime({.device = config::DeviceKind::kCpu});
  constexpr int64_t kNumbers = int64_t{24} << 20;  // 96 MiB: 24,576 pages, more than glibc keeps by itself
  const auto step = [] { EXPECT_EQ(at::ones({kNumbers})[kNumbers - 1].item<float>(), 1.0F); };
  step();
  const int64_t before = page_faults();
  step();
  step();
  EXPECT_LT(page_faults() - before, 2'000);
}

}  // namespace
}  // namespace bertcram::train
