#pragma once

#include <cstdint>
#include <optional>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/train/held_out.h"
#include "bertcram/train/objective.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// The held-out rows of a run: when they are scored, how many of them, and what that takes.
class HeldOutRows {
 public:
  /// @param masking  BERT's 15 %, as `bertcram eval`: runs at other rates can be compared
  HeldOutRows(const config::HeldOutConfig& config, const data::RowStore& rows, data::MaskingOptions masking);

  bool is_empty() const { return rows_.rows() == 0; }
  /// Whether an evaluation is due that was not at the last one.
  /// @param share  of the budget  @param last_step, last_share  of the last evaluation
  bool is_due(int64_t step, double share, int64_t last_step, double last_share) const;

  /// The rows that are scored during training. @return nullopt when asked to stop on the way
  std::optional<HeldOutScores> score_some(const Objective& objective, int64_t rows_per_pass,
                                          const util::StopFlag& stop);
  std::optional<HeldOutScores> score_all(const Objective& objective, int64_t rows_per_pass,
                                         const util::StopFlag& stop) const;
  /// What score_all will take, judged by the last score_some; 0 before.
  double seconds_for_all() const { return seconds_for_all_; }

 private:
  std::optional<HeldOutScores> score(const Objective& objective, int64_t rows, int64_t rows_per_pass,
                                     const util::StopFlag& stop) const;

  const config::HeldOutConfig& config_;
  const data::RowStore& rows_;
  data::MaskingOptions masking_;
  double seconds_for_all_ = 0;
};

}  // namespace bertcram::train
