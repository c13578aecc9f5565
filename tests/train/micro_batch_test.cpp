#include "train/micro_batch.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <vector>

#include "util/log_file.h"

namespace bertcram::train {
namespace {

struct Trial {
  std::vector<int64_t> tried;
  std::optional<int64_t> found;
};

template <class SecondsOf>
Trial search(int64_t most, SecondsOf seconds_of) {
  Trial trial;
  trial.found = fastest_rows_per_pass(most, [&](int64_t rows) -> std::optional<double> {
    trial.tried.push_back(rows);
    return seconds_of(rows);
  });
  return trial;
}

TEST(FastestRowsPerPass, GrowsWhileThatIsFasterAndStopsBeforeWhatDoesNotFit) {
  const Trial trial = search(2048, [](int64_t rows) {
    return rows > 100 ? std::nullopt : std::optional(1.0 + 0.001 * static_cast<double>(rows));
  });
  EXPECT_EQ(trial.found, 64);
  EXPECT_EQ(trial.tried, (std::vector<int64_t>{8, 16, 32, 64, 128}));
}

TEST(FastestRowsPerPass, TakesTheSmallerOfEquallyFastSizes) {
  const Trial trial = search(2048, [](int64_t rows) {  // nothing is gained beyond 32
    return std::optional(static_cast<double>(std::max<int64_t>(32, rows)));
  });
  EXPECT_EQ(trial.found, 32);
  EXPECT_EQ(trial.tried.back(), 128) << "one size that is no faster may be an accident";
}

TEST(FastestRowsPerPass, TriesTheWholeBatchAtMost) {
  const Trial trial = search(24, [](int64_t) { return std::optional(1.0); });
  EXPECT_EQ(trial.found, 24);
  EXPECT_EQ(trial.tried, (std::vector<int64_t>{8, 16, 24}));
  EXPECT_EQ(search(3, [](int64_t) { return std::optional(1.0); }).found, 3);
}

TEST(FastestRowsPerPass, GoesBelowTheFirstSizeWhereEvenThatDoesNotFit) {
  const Trial trial = search(2048, [](int64_t rows) { return rows > 3 ? std::nullopt : std::optional(1.0); });
  EXPECT_EQ(trial.found, 2);
  EXPECT_EQ(trial.tried, (std::vector<int64_t>{8, 4, 2}));
  EXPECT_EQ(search(2048, [](int64_t) { return std::optional<double>(); }).found, std::nullopt);
}

/// Finds memory for `fits` rows; remembers what it was asked for.
struct Attempts {
  int64_t fits = 0;
  std::vector<int64_t> tried = {};
  int64_t operator()(int64_t rows) {
    tried.push_back(rows);
    if (rows > fits) {
      throw std::bad_alloc();
    }
    return 10 * rows;
  }
};

int64_t run(Attempts& attempts, int64_t& rows) {
  return with_smaller(rows, at::kCPU, {"test", "here"}, [&](int64_t at_a_time) { return attempts(at_a_time); });
}

TEST(WithSmaller, HalvesUntilThereIsMemoryAndSaysSoOnce) {
  const test::LogFile log;
  Attempts attempts = {.fits = 3};
  int64_t rows = 21;
  EXPECT_EQ(run(attempts, rows), 30);
  EXPECT_EQ(rows, 3);
  EXPECT_EQ(attempts.tried, (std::vector<int64_t>{21, 11, 6, 3}));
  EXPECT_EQ(run(attempts, rows), 30) << "who comes again begins there";
  EXPECT_EQ(attempts.tried, (std::vector<int64_t>{21, 11, 6, 3, 3}));
  EXPECT_EQ(log.count_of("out of memory at "), 1U) << log.text();
  EXPECT_EQ(log.count_of("test: out of memory at here: going on with 3 at a time"), 1U) << log.text();
}

TEST(WithSmaller, GivesUpAtOneRowAndAtOtherErrors) {
  Attempts attempts = {.fits = 0};
  int64_t rows = 4;
  EXPECT_THROW(run(attempts, rows), std::bad_alloc);
  EXPECT_EQ(attempts.tried, (std::vector<int64_t>{4, 2, 1}));
  int calls = 0;
  const auto broken = [&](int64_t) -> int64_t {
    ++calls;
    throw std::runtime_error("mat1 and mat2 shapes cannot be multiplied");
  };
  EXPECT_THROW(with_smaller(rows = 4, at::kCPU, {"test", "here"}, broken), std::runtime_error);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace bertcram::train
