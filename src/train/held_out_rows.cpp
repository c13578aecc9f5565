#include "held_out_rows.h"

#include <algorithm>
#include <chrono>

#include "bertcram/util/out_of_memory.h"

namespace bertcram::train {

HeldOutRows::HeldOutRows(const config::HeldOutConfig& config, const data::RowStore& rows, data::MaskingOptions masking)
    : config_(config), rows_(rows), masking_(std::move(masking)) {}

bool HeldOutRows::is_due(int64_t step, double share, int64_t last_step, double last_share) const {
  constexpr double kDefaultEvaluations = 20;
  const auto made_until = [&](int64_t steps, double used) {
    return config_.every_steps > 0 ? steps / config_.every_steps : static_cast<int64_t>(used * kDefaultEvaluations);
  };
  return !is_empty() && share < 1.0 && made_until(step, share) > made_until(last_step, last_share);
}

std::optional<HeldOutScores> HeldOutRows::score_some(const Objective& objective, int64_t rows_per_pass,
                                                     const util::StopFlag& stop) {
  const int64_t count = config_.rows == 0 ? rows_.rows() : std::min(config_.rows, rows_.rows());
  const auto start = std::chrono::steady_clock::now();
  const auto scores = score(objective, count, rows_per_pass, stop);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  seconds_for_all_ = seconds * static_cast<double>(rows_.rows()) / static_cast<double>(count);
  return scores;
}

std::optional<HeldOutScores> HeldOutRows::score_all(const Objective& objective, int64_t rows_per_pass,
                                                    const util::StopFlag& stop) const {
  return score(objective, rows_.rows(), rows_per_pass, stop);
}

std::optional<HeldOutScores> HeldOutRows::score(const Objective& objective, int64_t rows, int64_t rows_per_pass,
                                                const util::StopFlag& stop) const {
  const data::MaskedBatches batches(rows_, masking_, /*seed=*/0, data::RowOrder::kStored);
  while (true) {
    try {
      return objective.evaluate(batches, rows, rows_per_pass, stop);
    } catch (const std::exception& error) {  // what fits with gradients may not fit with fp32 logits
      if (!util::is_out_of_memory(error) || rows_per_pass == 1) {
        throw;
      }
    }
    rows_per_pass = (rows_per_pass + 1) / 2;
  }
}

}  // namespace bertcram::train
