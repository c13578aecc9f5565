#include "monitor/connection_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace bertcram::monitor {
namespace {

TEST(ConnectionThreads, WorkThatComesOneByOneNeedsFewThreads) {
  ConnectionThreads threads(100);
  EXPECT_EQ(threads.count(), 1U);
  for (int i = 0; i < 20; ++i) {
    std::promise<void> done;
    threads.enqueue([&done] { done.set_value(); });
    done.get_future().wait();
  }
  EXPECT_GE(threads.count(), 2U) << "one ahead";
  EXPECT_LT(threads.count(), 15U);
}

TEST(ConnectionThreads, WorkThatLastsGetsThreadsOfItsOwnUpToTheMost) {
  constexpr size_t kMost = 3;
  std::promise<void> go_on;
  const std::shared_future<void> may_go_on = go_on.get_future().share();
  std::atomic<int> begun = 0;
  std::atomic<int> done = 0;
  ConnectionThreads threads(kMost);
  for (int i = 0; i < 10; ++i) {
    threads.enqueue([&] {
      ++begun;
      may_go_on.wait();
      ++done;
    });
  }
  while (begun < static_cast<int>(kMost)) {
    std::this_thread::yield();
  }
  EXPECT_EQ(threads.count(), kMost);
  EXPECT_EQ(threads.most(), kMost);
  EXPECT_EQ(done, 0);
  go_on.set_value();
  threads.shutdown();
  EXPECT_EQ(done, 10) << "what was given is done before the end";
}

}  // namespace
}  // namespace bertcram::monitor
