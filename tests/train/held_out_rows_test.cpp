// Held-out evaluations: when they are due, on which rows, and with how much memory.

#include "train/held_out_rows.h"
#include "bertcram/util/error.h"

#include <chrono>
#include <new>
#include <thread>

#include "train/pretrain_support.h"
#include "train/run_data.h"
#include "util/log_file.h"

namespace bertcram::train {
namespace {

/// Remembers how it is asked; finds memory for `fits` rows at a time. `in_vain` is what it takes to find none.
class Asked : public Objective {
 public:
  explicit Asked(int64_t fits, std::chrono::milliseconds per_row = {}, std::chrono::milliseconds in_vain = {})
      : Objective(at::kCPU), fits_(fits), per_row_(per_row), in_vain_(in_vain) {}
  BatchLoss loss(const BatchTensors&, double, const model::EncodeOptions&) const override { return {}; }
  bool needs_mask_prob() const override { return false; }
  std::optional<HeldOutScores> evaluate(const data::MaskedBatches&, int64_t rows, int64_t micro_rows,
                                        const util::StopFlag& stop) const override {
    if (stop.requested()) {
      return std::nullopt;
    }
    tried.push_back(micro_rows);
    if (micro_rows > fits_) {
      std::this_thread::sleep_for(in_vain_);
      throw std::bad_alloc();
    }
    passes.push_back(micro_rows);
    std::this_thread::sleep_for(rows * per_row_);
    return HeldOutScores{.loss = 1, .accuracy = 0, .masked_tokens = rows};
  }
  const model::Encoder& masked_lm() const override { throw InternalError("nobody asks"); }
  double flops_per_token(int64_t) const override { return 0; }
  std::vector<TrainedModel> models() const override { return {}; }

  mutable std::vector<int64_t> passes;
  mutable std::vector<int64_t> tried;  ///< with those that found no memory

 private:
  int64_t fits_;
  std::chrono::milliseconds per_row_;
  std::chrono::milliseconds in_vain_;
};

class HeldOutRowsTest : public test::PretrainTest {
 protected:
  HeldOutRows rows(const config::HeldOutConfig& config) const { return {config, data_.valid, {}}; }
  RunData data_{scratch_ / "packed"};
  util::StopFlag stop_;
};

TEST_F(HeldOutRowsTest, AreDueTwentyTimesOrEverySoManySteps) {
  const config::HeldOutConfig by_share = {.every_steps = 0};
  EXPECT_FALSE(rows(by_share).is_due(10, 0.049, 0, 0.0));
  EXPECT_TRUE(rows(by_share).is_due(10, 0.051, 0, 0.0));
  EXPECT_FALSE(rows(by_share).is_due(11, 0.09, 10, 0.051));
  EXPECT_TRUE(rows(by_share).is_due(11, 0.4, 10, 0.051));
  EXPECT_FALSE(rows(by_share).is_due(20, 1.0, 10, 0.5)) << "all rows follow anyway";
  EXPECT_FALSE(rows(by_share).is_due(0, 0.3, 0, 0.0)) << "nothing was learned yet";
  const config::HeldOutConfig by_steps = {.every_steps = 5};
  EXPECT_FALSE(rows(by_steps).is_due(4, 0.9, 0, 0.0));
  EXPECT_TRUE(rows(by_steps).is_due(6, 0.1, 4, 0.1));
}

TEST_F(HeldOutRowsTest, DuringTrainingAreAsManyAsAreThere) {
  const int64_t all = data_.valid.rows();
  ASSERT_GT(all, 2);
  const Asked objective(100);
  EXPECT_EQ(rows({.rows = 2}).score_some(objective, 4, stop_)->masked_tokens, 2);
  EXPECT_EQ(rows({.rows = 100'000}).score_some(objective, 4, stop_)->masked_tokens, all);
  EXPECT_EQ(rows({.rows = 0}).score_some(objective, 4, stop_)->masked_tokens, all);
  EXPECT_EQ(rows({.rows = 2}).score_last(objective, 0, 4, stop_)->masked_tokens, all);
  EXPECT_EQ(rows({.rows = 2}).score_last(objective, 3, 4, stop_)->masked_tokens, 3) << "as were scored before";
  EXPECT_EQ(rows({.rows = 2}).score_last(objective, all + 1, 4, stop_)->masked_tokens, all);
}

TEST_F(HeldOutRowsTest, WithoutMemoryAreScoredInSmallerPasses) {
  const Asked objective(3);
  EXPECT_TRUE(rows({.rows = 2}).score_last(objective, 0, 64, stop_));
  EXPECT_EQ(objective.passes, (std::vector<int64_t>{2}));  // 64, 32, 16, 8 and 4 found none
  EXPECT_THROW(rows({.rows = 2}).score_last(Asked(0), 0, 64, stop_), std::bad_alloc);
}

TEST_F(HeldOutRowsTest, RememberTheSizeThatFitsAndTimeThatAlone) {
  const test::LogFile log;
  const Asked objective(3, /*per_row=*/{}, /*in_vain=*/std::chrono::milliseconds(200));
  const config::HeldOutConfig config = {.rows = 1};
  HeldOutRows some = rows(config);
  EXPECT_TRUE(some.score_some(objective, 8, stop_));
  EXPECT_LT(some.seconds_for_last(), 0.4 * static_cast<double>(data_.valid.rows())) << "400 ms were in vain";
  EXPECT_TRUE(some.score_some(objective, 1, stop_)) << "training has smaller passes, for once";
  EXPECT_TRUE(some.score_last(objective, 0, 8, stop_));
  EXPECT_EQ(objective.tried, (std::vector<int64_t>{8, 4, 2, 1, 2}));
  EXPECT_EQ(log.count_of("out of memory at the held-out rows: going on with 2 at a time"), 1U) << log.text();
  EXPECT_EQ(log.count_of("out of memory"), 1U) << log.text();
}

// An evaluation takes at least as long as its sleep, and how much longer is the machine's choice: what is expected follows
// from what the rows themselves say that it took.
TEST_F(HeldOutRowsTest, TakeATwentiethOfATimeBudgetAtMost) {
  const config::HeldOutConfig config = {.rows = 2};
  const Asked objective(100, std::chrono::milliseconds(10));  // per row
  constexpr double kTwentieth = 0.065;                        // seconds, for three evaluations of 20 ms
  HeldOutRows some(config, data_.valid, {}, /*budget_seconds=*/20 * kTwentieth);
  EXPECT_TRUE(some.is_due(1, 0.051, 0, 0.0)) << "what they take is not known yet";
  EXPECT_EQ(some.score_some(objective, 4, stop_)->masked_tokens, 2);
  EXPECT_FALSE(some.is_due(2, 0.3, 1, 0.051));
  const int64_t last = some.score_last(objective, some.rows_of_last(), 4, stop_)->masked_tokens;
  const double seconds_per_row = some.seconds_for_last() / static_cast<double>(last);
  EXPECT_GE(seconds_per_row, 0.01);
  const double distance = 2 * seconds_per_row / kTwentieth;  // of two evaluations, as a share of the budget
  EXPECT_EQ(some.is_due(2, 0.01 + 1.001 * distance, 1, 0.01), 0.01 + 1.001 * distance < 1) << "never at the end";
  EXPECT_FALSE(some.is_due(2, 0.01 + 0.999 * distance, 1, 0.01));
  EXPECT_GE(last, 2);
  EXPECT_LE(last, 6);
  EXPECT_TRUE(last == 2 || some.seconds_for_last() <= kTwentieth) << "two are scored in any case";
  HeldOutRows later(config, data_.valid, {}, /*budget_seconds=*/20 * kTwentieth);
  EXPECT_EQ(later.rows_of_last(), data_.valid.rows()) << "nothing is known";
  later.remember(3);
  EXPECT_EQ(later.rows_of_last(), 3) << "as another session found";
  util::StopFlag stopped;
  stopped.request(2);
  EXPECT_FALSE(later.score_some(objective, 4, stopped));
  EXPECT_EQ(later.rows_of_last(), 3) << "half an evaluation tells nothing";
  HeldOutRows tight(config, data_.valid, {}, /*budget_seconds=*/0.1);
  tight.score_some(objective, 4, stop_);
  EXPECT_FALSE(tight.is_due(2, 0.999, 1, 0.051));
  EXPECT_EQ(tight.score_last(objective, tight.rows_of_last(), 4, stop_)->masked_tokens, 2)
      << "as many as in mid-run all the same";
}

TEST_F(HeldOutRowsTest, TellWhatTheLastOnesWillTake) {
  const config::HeldOutConfig config = {.rows = 1};  // which is not copied
  HeldOutRows some = rows(config);
  EXPECT_EQ(some.seconds_for_last(), 0.0);
  some.score_some(Asked(100), 4, stop_);
  EXPECT_GT(some.seconds_for_last(), 0.0);
}

}  // namespace
}  // namespace bertcram::train
