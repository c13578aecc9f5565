#include "held_out_rows.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "micro_batch.h"

namespace bertcram::train {

HeldOutRows::HeldOutRows(const config::HeldOutConfig& config, const data::RowStore& rows, data::MaskingOptions masking,
                         std::optional<double> budget_seconds)
    : config_(config), rows_(rows), masking_(std::move(masking)) {
  constexpr double kShareOfBudget = 0.05;
  if (budget_seconds) {
    share_of_budget_ = kShareOfBudget * *budget_seconds;
  }
}

bool HeldOutRows::is_due(int64_t step, double share, int64_t last_step, double last_share) const {
  constexpr double kDefaultEvaluations = 20;
  if (is_empty() || step == 0 || share >= 1.0) {
    return false;
  }
  if (config_.every_steps > 0) {
    return step / config_.every_steps > last_step / config_.every_steps;
  }
  if (share_of_budget_) {  // what an evaluation takes changes from one to the next, and with it how many there are
    const double seconds = seconds_per_row_ * static_cast<double>(rows_of_some());
    return share - last_share >= std::max(1.0 / kDefaultEvaluations, seconds / *share_of_budget_);
  }
  return std::floor(share * kDefaultEvaluations) > std::floor(last_share * kDefaultEvaluations);
}

int64_t HeldOutRows::rows_of_some() const {
  return config_.rows == 0 ? rows_.rows() : std::min(config_.rows, rows_.rows());
}

int64_t HeldOutRows::rows_of_last() const {
  if (!share_of_budget_) {
    return rows_.rows();
  }
  if (seconds_per_row_ == 0) {
    return remembered_rows_of_last_ == 0 ? rows_.rows() : std::min(remembered_rows_of_last_, rows_.rows());
  }
  const auto affordable = static_cast<int64_t>(std::min(1e15, *share_of_budget_ / seconds_per_row_));
  return std::clamp(affordable, rows_of_some(), rows_.rows());
}

std::optional<HeldOutScores> HeldOutRows::score_some(const Objective& objective, int64_t rows_per_pass,
                                                     const util::StopFlag& stop) {
  const int64_t count = rows_of_some();
  const auto [scores, seconds] = score(objective, count, rows_per_pass, stop);
  if (scores) {
    seconds_per_row_ = seconds / static_cast<double>(count);
  }
  return scores;
}

std::optional<HeldOutScores> HeldOutRows::score_last(const Objective& objective, int64_t rows, int64_t rows_per_pass,
                                                     const util::StopFlag& stop) {
  const int64_t count = rows == 0 ? rows_.rows() : std::min(rows, rows_.rows());
  if (count < rows_.rows()) {
    util::log_info("pretrain",
                   cat("the last evaluation takes ", count, " of ", rows_.rows(),
                       " held-out rows: more would take over a twentieth of the budget; `bertcram eval` takes "
                       "all"));
  }
  return score(objective, count, rows_per_pass, stop).scores;
}

/// What fits with gradients may not fit with fp32 logits.
HeldOutRows::Scoring HeldOutRows::score(const Objective& objective, int64_t rows, int64_t rows_per_pass,
                                        const util::StopFlag& stop) {
  const data::MaskedBatches batches(rows_, masking_, /*seed=*/0, data::RowOrder::kStored);
  const int64_t wanted = std::min(rows_per_pass, most_rows_per_pass_);
  int64_t fitting = wanted;
  const auto attempt = [&](int64_t at_a_time) {
    const auto start = std::chrono::steady_clock::now();
    const auto scores = objective.evaluate(batches, rows, at_a_time, stop);
    return Scoring{.scores = scores,
                   .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
  };
  const Scoring scoring = with_smaller(fitting, objective.device(), {"pretrain", "the held-out rows"}, attempt);
  if (fitting < wanted) {
    most_rows_per_pass_ = fitting;
  }
  return scoring;
}

}  // namespace bertcram::train
