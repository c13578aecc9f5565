// What is said of a long command: how much is done, how fast, and how long the rest will take.

#include "bertcram/util/progress.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace bertcram::util {
namespace {

using Parts = std::vector<std::string>;

constexpr int64_t kMebibyte = int64_t{1} << 20;

TEST(ProgressParts, AmountRateAndTimeLeft) {
  EXPECT_EQ(progress_parts({.total = 40 * kMebibyte, .done = 30 * kMebibyte, .seconds = 15}),
            (Parts{"30.0 MiB of 40.0 MiB", "2.0 MiB/s", "5 s left"}));
  EXPECT_EQ(progress_parts({.unit = "rows", .done = 2500, .seconds = 2}), (Parts{"2,500 rows", "1,250 rows/s"}));
}

// The work of an earlier session counted as if this one had done it in its first moment.
TEST(ProgressParts, WhatAnEarlierSessionDidIsNoneOfTheRate) {
  EXPECT_EQ(progress_parts({.unit = "rows", .total = 1000, .done = 910, .done_earlier = 900, .seconds = 2}),
            (Parts{"910 rows of 1,000 rows", "5 rows/s", "18 s left"}));
  EXPECT_EQ(progress_parts({.unit = "rows", .total = 1000, .done = 900, .done_earlier = 900, .seconds = 2}),
            (Parts{"900 rows of 1,000 rows", "0 rows/s"}))
      << "nothing can be told yet";
}

// Found by review: the clock began again while what had been done until then still counted.
TEST(Progress, EarlierWorkThatIsToldOfLateLeavesTheRateAlone) {
  Progress progress({.label = "test", .unit = "rows", .total = 1000, .style = ProgressStyle::kQuiet});
  progress.add(10);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // at most 200 rows a second, however busy the machine is
  progress.add_earlier(900);
  Parts said = progress.said();
  ASSERT_EQ(said.size(), 3U);
  EXPECT_EQ(said[0], "910 rows of 1,000 rows");
  std::erase(said[1], ',');
  EXPECT_LE(std::stoi(said[1]), 200) << said[1];
}

}  // namespace
}  // namespace bertcram::util
