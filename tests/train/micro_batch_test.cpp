#include "train/micro_batch.h"

#include <gtest/gtest.h>

#include <vector>

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

}  // namespace
}  // namespace bertcram::train
