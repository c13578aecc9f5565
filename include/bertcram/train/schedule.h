#pragma once
// Budget, and what changes with the share of it that is used: learning rate, batch size, masking rate.

#include <cstdint>

#include "bertcram/config/pretrain_config.h"

namespace bertcram::train {

/// Learning rate at `share` of the budget used (0..1): up to the peak over warmup_frac, along it over hold_frac, then
/// down. Source: Smith & Topin 2018. Pinned by: tests/train/schedule_test.cpp
double learning_rate(const config::ScheduleConfig& schedule, double peak, double share);

/// Share of the tokens that are predicted: linear from mask_prob to end_mask_prob (Ankner et al. 2024).
double mask_prob_at(const config::MaskConfig& mask, double share);

/// What a run has used so far.
struct Usage {
  int64_t steps = 0;
  int64_t tokens = 0;
  double seconds = 0;
  double step_seconds = 0;  ///< of the last step; 0 = none yet
};

/// The limit of a run, in exactly one of time, steps and tokens.
class Budget {
 public:
  /// REQUIRES: exactly one is set; config::contradictions tells users.
  explicit Budget(const config::BudgetConfig& config);

  /// Takes this much off a time budget, at most a quarter of it: what follows on the last step has to fit too.
  void reserve(double seconds);

  /// Used share, 0..1 (1 = spent).
  double share(const Usage& usage) const;
  bool is_spent(const Usage& usage) const { return share(usage) >= 1.0; }
  /// Share in the middle of a step of `tokens_per_step`, where its learning rate is read: neither the first nor the
  /// last step of a run from 0 to 0 is wasted. A step of a time budget is expected to take as long as the one before.
  double share_for_step(const Usage& usage, int64_t tokens_per_step) const;

 private:
  double seconds_ = 0;
  double reserved_seconds_ = 0;
  int64_t steps_ = 0;
  int64_t tokens_ = 0;
};

/// What one optimizer step is done with.
struct StepSettings {
  double learning_rate = 0;
  int64_t rows = 0;
  double mask_prob = 0;
};

/// Of the step that follows on `usage`, of rows of seq_len tokens.
StepSettings next_step_settings(const config::PretrainConfig& config, const Budget& budget, const Usage& usage,
                                int64_t seq_len);

}  // namespace bertcram::train
