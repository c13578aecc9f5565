#include "bertcram/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {

namespace {

/// 1 at the begin of the way down, 0 at its end.
double height_at(config::Anneal anneal, double down) {
  switch (anneal) {
    case config::Anneal::kLinear: return 1.0 - down;
    case config::Anneal::kCosine: return 0.5 * (1.0 + std::cos(std::numbers::pi * down));
    case config::Anneal::kSqrt: return 1.0 - std::sqrt(down);
  }
  throw InternalError("unknown Anneal");
}

}  // namespace

double learning_rate(const config::ScheduleConfig& schedule, double peak, double share) {
  share = std::clamp(share, 0.0, 1.0);
  const double warmup = schedule.warmup_frac;
  if (share < warmup) {
    return peak * std::lerp(schedule.start_frac, 1.0, share / warmup);
  }
  const double descent = warmup + schedule.hold_frac;  // where it begins
  const double down = descent < 1.0 ? std::max(0.0, (share - descent) / (1.0 - descent)) : 0.0;
  return peak * std::lerp(schedule.end_frac, 1.0, height_at(schedule.anneal, down));
}

double mask_prob_at(const config::MaskConfig& mask, double share) {
  return mask.end_mask_prob > 0 ? std::lerp(mask.mask_prob, mask.end_mask_prob, std::clamp(share, 0.0, 1.0))
                                : mask.mask_prob;
}

Budget::Budget(const config::BudgetConfig& config) : steps_(config.steps), tokens_(config.tokens) {
  if (!config.time.empty()) {
    seconds_ = util::parse_duration(config.time).value();
  }
  BC_CHECK(int{steps_ > 0} + int{tokens_ > 0} + int{seconds_ > 0} == 1, steps_, " steps, ", tokens_, " tokens, ",
           seconds_, " s");
}

void Budget::reserve(double seconds) {
  constexpr double kMostShare = 0.25;
  reserved_seconds_ = std::clamp(seconds, 0.0, kMostShare * seconds_);
}

double Budget::share(const Usage& usage) const {
  if (steps_ > 0) {
    return std::min(1.0, static_cast<double>(usage.steps) / static_cast<double>(steps_));
  }
  if (tokens_ > 0) {
    return std::min(1.0, static_cast<double>(usage.tokens) / static_cast<double>(tokens_));
  }
  return std::min(1.0, usage.seconds / (seconds_ - reserved_seconds_));
}

double Budget::share_for_step(const Usage& usage, int64_t tokens_per_step) const {
  if (steps_ > 0) {
    return std::min(1.0, (static_cast<double>(usage.steps) + 0.5) / static_cast<double>(steps_));
  }
  if (tokens_ > 0) {
    const double middle = static_cast<double>(usage.tokens) + 0.5 * static_cast<double>(tokens_per_step);
    return std::min(1.0, middle / static_cast<double>(tokens_));
  }
  return share({.seconds = usage.seconds + 0.5 * usage.step_seconds});
}

StepSettings next_step_settings(const config::PretrainConfig& config, const Budget& budget, const Usage& usage,
                                int64_t seq_len) {
  const int64_t rows = config.batch.rows_at(budget.share(usage));
  const double share = budget.share_for_step(usage, rows * seq_len);
  return {.learning_rate = learning_rate(config.schedule, config.optim.learning_rate, share),
          .rows = rows,
          .mask_prob = mask_prob_at(config.mask, share)};
}

}  // namespace bertcram::train
