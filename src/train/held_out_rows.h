#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/train/held_out.h"
#include "bertcram/train/objective.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// The held-out rows of a run: when they are scored, how many of them, and what that takes. Of a short time budget the
/// evaluations in mid-run take about a twentieth once it is known what one takes, and the last one another. Where memory runs
/// out, this evaluation and those after it take smaller passes.
class HeldOutRows {
 public:
  /// @param masking  BERT's 15 %, as `bertcram eval`: runs at other rates can be compared
  /// @param budget_seconds  of a budget of time
  HeldOutRows(const config::HeldOutConfig& config, const data::RowStore& rows, data::MaskingOptions masking,
              std::optional<double> budget_seconds = {});

  bool is_empty() const { return rows_.rows() == 0; }
  /// Whether an evaluation is due that was not at the last one.
  /// @param share  of the budget  @param last_step, last_share  of the last evaluation
  bool is_due(int64_t step, double share, int64_t last_step, double last_share) const;

  /// The rows that are scored during training. @return nullopt when asked to stop on the way
  std::optional<HeldOutScores> score_some(const Objective& objective, int64_t rows_per_pass,
                                          const util::StopFlag& stop);
  /// All rows, or those that a twentieth of the time budget suffices for, judged by the last score_some, or by an earlier
  /// session as long as there was none.
  int64_t rows_of_last() const;
  /// @param rows  what rows_of_last() was in an earlier session; 0 = all
  void remember(int64_t rows) { remembered_rows_of_last_ = rows; }
  /// @param rows  from the first; 0 = all. That it is not all of them is logged.
  std::optional<HeldOutScores> score_last(const Objective& objective, int64_t rows, int64_t rows_per_pass,
                                          const util::StopFlag& stop);
  /// What the rows of the last will take, judged by the last score_some; 0 before.
  double seconds_for_last() const { return static_cast<double>(rows_of_last()) * seconds_per_row_; }

 private:
  int64_t rows_of_some() const;
  struct Scoring {
    std::optional<HeldOutScores> scores;
    double seconds = 0;  ///< of the passes that found memory
  };
  Scoring score(const Objective& objective, int64_t rows, int64_t rows_per_pass, const util::StopFlag& stop);

  const config::HeldOutConfig& config_;
  const data::RowStore& rows_;
  data::MaskingOptions masking_;
  std::optional<double> share_of_budget_;  ///< seconds
  double seconds_per_row_ = 0;
  int64_t remembered_rows_of_last_ = 0;
  int64_t most_rows_per_pass_ = std::numeric_limits<int64_t>::max();  ///< more found no memory
};

}  // namespace bertcram::train
