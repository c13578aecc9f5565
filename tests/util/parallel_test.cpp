// Workers run all at once, and the first failure comes back to the caller.

#include "bertcram/util/parallel.h"

#include <gtest/gtest.h>

#include <atomic>

#include "bertcram/util/error.h"

namespace bertcram::util {
namespace {

TEST(WorkerGroup, RunsEveryWorkerOnce) {
  std::atomic<int64_t> sum{0};
  WorkerGroup().run(5, [&](int64_t worker) { sum += 1 + worker * 100; });
  EXPECT_EQ(sum.load(), 5 + 100 * (0 + 1 + 2 + 3 + 4));
}

TEST(WorkerGroup, RethrowsAFailureAfterAllHaveStopped) {
  WorkerGroup group;
  std::atomic<int> finished{0};
  const auto body = [&](int64_t worker) {
    if (worker == 1) {
      throw DataError("worker 1");
    }
    while (!group.failed()) {
      std::this_thread::yield();
    }
    ++finished;
  };
  EXPECT_THROW(group.run(3, body), DataError);
  EXPECT_EQ(finished.load(), 2);
}

TEST(ThreadCount, IsWhatWasAskedForOrAtLeastOne) {
  EXPECT_EQ(thread_count(3), 3);
  EXPECT_GE(thread_count(0), 1);
}

}  // namespace
}  // namespace bertcram::util
