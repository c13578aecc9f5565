// Batches side by side: each once, errors come out, LibTorch keeps its threads.

#include "bertcram/train/batches.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <vector>

#include "bertcram/util/error.h"
#include "util/test_support.h"

namespace bertcram::train {
namespace {

const Runtime kThreeThreads = {.device = at::kCPU, .compute_type = at::kFloat, .threads = 3};

TEST(ForEachBatch, CallsEachOnceWithoutGradients) {
  for (const int64_t count : {0, 1, 2, 50}) {
    std::vector<std::atomic<int>> calls(static_cast<size_t>(count));
    for_each_batch(kThreeThreads, count, [&](int64_t i) {
      EXPECT_FALSE(c10::GradMode::is_enabled());
      ++calls[static_cast<size_t>(i)];
    });
    for (const auto& each : calls) {
      EXPECT_EQ(each, 1);
    }
    EXPECT_EQ(at::get_num_threads(), 3);
  }
}

TEST(ForEachBatch, ThrowsWhatACallThrewAndStops) {
  std::atomic<int> calls = 0;
  const std::string message = test::message_of<DataError>([&] {
    for_each_batch(kThreeThreads, 100'000, [&](int64_t) {
      ++calls;
      throw DataError("broken");
    });
  });
  EXPECT_EQ(message, "broken");
  EXPECT_LE(calls, 3);
  EXPECT_EQ(at::get_num_threads(), 3);
}

TEST(RequireNumbers, RefusesWhatIsNone) {
  const std::vector<float> good = {0.0F, -1.0F};
  EXPECT_NO_THROW(require_numbers(good, "vectors", "m"));
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const std::vector<double> numbers = {1.0, bad};
    EXPECT_TRUE(test::contains(test::message_of<DataError>([&] { require_numbers(numbers, "vectors", "runs/m"); }),
                               "--model runs/m: its weights give vectors that are not numbers"));
  }
}

}  // namespace
}  // namespace bertcram::train
