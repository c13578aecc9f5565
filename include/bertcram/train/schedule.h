#pragma once
// Budget and learning rate, both as functions of how much of the budget is used.

#include <cstdint>

#include "bertcram/config/pretrain_config.h"

namespace bertcram::train {

/// Learning rate at `share` of the budget used (0..1): one cycle, up to the peak over warmup_frac, then down.
/// Source: Smith & Topin 2018. Pinned by: tests/train/schedule_test.cpp
double learning_rate(const config::ScheduleConfig& schedule, double peak, double share);

/// What a run has used so far.
struct Usage {
  int64_t steps = 0;
  int64_t tokens = 0;
  double seconds = 0;
};

/// The limit of a run, in exactly one of time, steps and tokens.
class Budget {
 public:
  explicit Budget(const config::BudgetConfig& config);

  /// Used share, 0..1 (1 = spent).
  double share(const Usage& usage) const;
  bool is_spent(const Usage& usage) const { return share(usage) >= 1.0; }
  /// Share in the middle of a step of `tokens_per_step`, where its learning rate is read: neither the first nor the
  /// last step of a run from 0 to 0 is wasted. A time budget is read at the start of the step.
  double share_for_step(const Usage& usage, int64_t tokens_per_step) const;

 private:
  double seconds_ = 0;
  int64_t steps_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace bertcram::train
