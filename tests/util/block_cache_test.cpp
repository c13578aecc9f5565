// Freed blocks come back for sizes that they fit; what is kept stays bounded; where memory is out, idle blocks are given back.

#include "bertcram/util/block_cache.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "bertcram/util/random.h"

namespace bertcram::util {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kMiB = size_t{1} << 20;

TEST(BlockCache, RoundsToPagesAndByAnEighthAtMost) {
  EXPECT_EQ(BlockCache::rounded(1), kPage);
  EXPECT_EQ(BlockCache::rounded(kPage), kPage);
  EXPECT_EQ(BlockCache::rounded(64 * kPage), 64 * kPage);
  EXPECT_EQ(BlockCache::rounded(64 * kPage + 1), 72 * kPage);
  EXPECT_EQ(BlockCache::rounded(127 * kPage), 128 * kPage);
  RandomStream random(/*seed=*/1, RandomPurpose::kMasking, {});
  for (int i = 0; i < 10'000; ++i) {
    const size_t bytes = 1 + random.below(uint64_t{1} << (1 + random.below(40)));
    const size_t size = BlockCache::rounded(bytes);
    ASSERT_GE(size, bytes);
    ASSERT_EQ(size % kPage, 0U);
    ASSERT_LE(size, std::max(bytes + kPage - 1, bytes + bytes / 8)) << bytes;
    ASSERT_EQ(BlockCache::rounded(size), size);
  }
}

TEST(BlockCache, HandsOutAFreedBlockForSizesItFits) {
  BlockCache cache;
  void* const other = cache.allocate(64 * kMiB);  // so that all of the others may lie idle
  void* const block = cache.allocate(8 * kMiB);
  ASSERT_TRUE(cache.release(block));
  EXPECT_EQ(cache.allocate(8 * kMiB), block);
  ASSERT_TRUE(cache.release(block));
  EXPECT_EQ(cache.allocate(7 * kMiB), block);  // a little smaller
  ASSERT_TRUE(cache.release(block));
  void* const small = cache.allocate(2 * kMiB);  // would waste three quarters of it
  EXPECT_NE(small, block);
  void* const large = cache.allocate(9 * kMiB);
  EXPECT_NE(large, block);
  EXPECT_TRUE(cache.release(small));
  EXPECT_TRUE(cache.release(large));
  EXPECT_EQ(cache.allocate(8 * kMiB), block) << "it was idle all the time";
  EXPECT_TRUE(cache.release(block));
  EXPECT_TRUE(cache.release(other));
}

TEST(BlockCache, PrefersTheBlockThatWasFreedLast) {
  BlockCache cache;
  void* const older = cache.allocate(kMiB);
  void* const newer = cache.allocate(kMiB);
  void* const other = cache.allocate(16 * kMiB);  // so that both of the others may lie idle
  cache.release(older);
  cache.release(newer);
  EXPECT_EQ(cache.allocate(kMiB), newer);
  EXPECT_EQ(cache.allocate(kMiB), older);
  cache.release(other);
}

TEST(BlockCache, RefusesWhatItDidNotGive) {
  BlockCache cache;
  int foreign = 0;
  EXPECT_FALSE(cache.release(&foreign));
  EXPECT_FALSE(cache.release(nullptr));
  void* const block = cache.allocate(kPage);
  EXPECT_TRUE(cache.release(block));
  EXPECT_FALSE(cache.release(block));
}

/// Random sizes, each filled with a byte of its own that is looked at when it is freed.
class Blocks {
 public:
  Blocks(BlockCache& cache, uint64_t seed) : cache_(cache), random_(seed, RandomPurpose::kMasking, {}) {}
  ~Blocks() {
    while (!held_.empty()) {
      drop(held_.size() - 1);
    }
  }

  /// Takes or gives one.
  void step() {
    constexpr size_t kMostHeld = 20;
    if (held_.size() == kMostHeld || (!held_.empty() && random_.below(2) == 0)) {
      drop(random_.below(held_.size()));
      return;
    }
    const size_t bytes = 1 + random_.below(kPage << random_.below(8));
    auto* const data = static_cast<unsigned char*>(cache_.allocate(bytes));
    ASSERT_NE(data, nullptr);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(data) % kPage, 0U);
    const auto mark = static_cast<unsigned char>(random_.below(256));
    std::memset(data, mark, bytes);
    held_.push_back({.data = data, .bytes = bytes, .mark = mark});
  }

 private:
  struct Held {
    unsigned char* data;
    size_t bytes;
    unsigned char mark;
  };

  void drop(size_t index) {
    const Held block = held_[index];
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    for (size_t i = 0; i < block.bytes; ++i) {
      ASSERT_EQ(block.data[i], block.mark) << "another block lies over this one";
    }
    ASSERT_TRUE(cache_.release(block.data));
  }

  BlockCache& cache_;
  RandomStream random_;
  std::vector<Held> held_;
};

TEST(BlockCache, KeepsBlocksApartAndWithinItsBound) {
  BlockCache cache;
  Blocks blocks(cache, /*seed=*/2);
  size_t most_used = 0;
  size_t most_idle = 0;
  for (int i = 0; i < 20'000; ++i) {
    blocks.step();
    const auto bytes = cache.bytes();
    most_used = std::max(most_used, bytes.used);
    most_idle = std::max(most_idle, bytes.idle);
    ASSERT_EQ(bytes.most_used, most_used);
    ASSERT_LE(bytes.used + bytes.idle, most_used + most_used / 8);
  }
  EXPECT_GT(most_idle, most_used / 2);  // it does keep
}

TEST(BlockCache, ServesSeveralThreads) {
  BlockCache cache;
  {
    std::vector<std::jthread> threads;
    for (uint64_t seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&cache, seed] {
        Blocks blocks(cache, seed);
        for (int i = 0; i < 1000; ++i) {
          blocks.step();
        }
        for (int i = 0; i < 100'000; ++i) {
          cache.release(cache.allocate(kPage));
        }
      });
    }
  }
  EXPECT_EQ(cache.bytes().used, 0U);
}

TEST(BlockCache, KeepsNothingBeyondALimitButHandsOutMore) {
  BlockCache cache;
  cache.keep_below(8 * kMiB);
  void* const large = cache.allocate(16 * kMiB);
  void* const small = cache.allocate(kMiB);
  cache.release(small);
  EXPECT_EQ(cache.bytes().idle, 0U) << "what is in use fills it";
  cache.release(large);
  EXPECT_EQ(cache.bytes().idle, 0U) << "too large itself";
  cache.release(cache.allocate(2 * kMiB));
  EXPECT_EQ(cache.bytes().idle, 2 * kMiB);
  void* const nearly_all = cache.allocate(7 * kMiB);
  EXPECT_EQ(cache.bytes().idle, 0U);
  cache.release(nearly_all);
  EXPECT_EQ(cache.bytes().idle, 7 * kMiB);
  cache.keep_below(kMiB);
  EXPECT_EQ(cache.bytes().idle, 0U);
}

TEST(BlockCache, GivesIdleBlocksBackWhenAsked) {
  BlockCache cache;
  void* const used = cache.allocate(kMiB);
  void* const idle = cache.allocate(4 * kMiB);
  cache.release(idle);
  cache.give_back();
  EXPECT_EQ(cache.bytes().idle, 0U);
  EXPECT_EQ(cache.bytes().used, kMiB);
  EXPECT_EQ(cache.bytes().most_used, kMiB);
  std::memset(used, 1, kMiB);
  EXPECT_TRUE(cache.release(used));
}

/// Ends the process: 0 if what lies idle makes room for a larger block, and there is an answer where nothing does.
void run_out_of_memory() {
  BlockCache cache;
  cache.allocate(448 * kMiB);
  cache.release(cache.allocate(64 * kMiB));
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line) && !line.starts_with("VmData:")) {
  }
  const rlim_t data = std::stoull(line.substr(sizeof("VmData:"))) * 1024;  // what RLIMIT_DATA limits
  const rlimit limit = {.rlim_cur = data + 64 * kMiB, .rlim_max = RLIM_INFINITY};
  ::setrlimit(RLIMIT_DATA, &limit);
  void* const larger = cache.allocate(96 * kMiB);
  void* const too_large = cache.allocate(96 * kMiB);
  ::_exit(larger != nullptr && too_large == nullptr && cache.bytes().used == 544 * kMiB ? 0 : 1);
}

TEST(BlockCache, GivesIdleBlocksBackBeforeMemoryIsOut) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory is beyond the limit";
#endif
  EXPECT_EXIT(run_out_of_memory(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace bertcram::util
