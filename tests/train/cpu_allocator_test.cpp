// Large tensors come from memory that was freed before, small ones and those that do not fit anywhere as LibTorch does it.

#include "train/cpu_allocator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "bertcram/util/out_of_memory.h"
#include "train/proc_bytes.h"

namespace bertcram::train {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST(KeepFreedMemory, SparesTheSystemsPages) {
  keep_freed_memory({});
  const auto fill = [] { return at::full({16 * kMiB}, 3, at::kByte)[5].item<int64_t>(); };
  fill();
  const int64_t before = page_faults();
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(fill(), 3);
  }
  EXPECT_LT(page_faults() - before, 16 * kMiB / 4096);  // of 8 times as many
  const int64_t resident = proc_bytes("/proc/self/status", "VmRSS:");
  give_back_freed_memory();
  EXPECT_GT(resident - proc_bytes("/proc/self/status", "VmRSS:"), 15 * kMiB);
}

/// By how much the process shrinks when a tensor's memory, freed before, is given back.
int64_t kept_of(int64_t bytes) {
  at::full({bytes}, 3, at::kByte);
  const int64_t resident = proc_bytes("/proc/self/status", "VmRSS:");
  give_back_freed_memory();
  return resident - proc_bytes("/proc/self/status", "VmRSS:");
}

TEST(KeepFreedMemory, LeavesAnEighthOfALimitAlone) {
  keep_freed_memory(64 * kMiB);
  EXPECT_GT(kept_of(52 * kMiB), 50 * kMiB);
  EXPECT_LT(kept_of(60 * kMiB), 2 * kMiB);
  keep_freed_memory({});
  EXPECT_GT(kept_of(60 * kMiB), 58 * kMiB);
}

/// No more memory than now and so many bytes, while it exists.
class MemoryLeft {
 public:
  explicit MemoryLeft(int64_t bytes) {
    ::getrlimit(RLIMIT_DATA, &before_);
    const auto now = static_cast<rlim_t>(proc_bytes("/proc/self/status", "VmData:") + bytes);
    const rlimit limit = {.rlim_cur = now, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_DATA, &limit);
  }
  ~MemoryLeft() { ::setrlimit(RLIMIT_DATA, &before_); }
  MemoryLeft(const MemoryLeft&) = delete;
  MemoryLeft& operator=(const MemoryLeft&) = delete;

 private:
  rlimit before_{};
};

TEST(KeepFreedMemory, IsThereForSmallTensorsToo) {
  keep_freed_memory({});
  at::full({256 * kMiB}, 3, at::kByte);
  constexpr int64_t kSmall = int64_t{16} << 10;
  std::vector<at::Tensor> tensors;
  const MemoryLeft left(8 * kMiB);
  while (std::ssize(tensors) * kSmall < 64 * kMiB) {
    ASSERT_NO_THROW(tensors.push_back(at::full({kSmall}, 7, at::kByte))) << tensors.size();
  }
}

TEST(KeepFreedMemory, ServesEverySize) {
  keep_freed_memory({});
  for (const int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{32} << 10, (int64_t{32} << 10) - 1, 3 * kMiB + 1}) {
    const at::Tensor tensor = at::full({bytes}, 7, at::kByte);
    EXPECT_EQ(tensor.sum().item<int64_t>(), 7 * bytes);
    const at::Tensor copy = tensor.clone();
    EXPECT_TRUE(copy.equal(tensor));
  }
}

TEST(KeepFreedMemory, SaysAsLibTorchDoesThatMemoryIsOut) {
  keep_freed_memory({});
  try {
    at::empty({int64_t{1} << 50}, at::kByte);
    FAIL() << "so much memory?";
  } catch (const std::exception& error) {
    EXPECT_TRUE(util::is_out_of_memory(error)) << error.what();
  }
}

}  // namespace
}  // namespace bertcram::train
