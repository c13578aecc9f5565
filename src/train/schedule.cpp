#include "bertcram/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {

double learning_rate(const config::ScheduleConfig& schedule, double peak, double share) {
  share = std::clamp(share, 0.0, 1.0);
  const double warmup = schedule.warmup_frac;
  if (share < warmup) {
    return peak * std::lerp(schedule.start_frac, 1.0, share / warmup);
  }
  const double down = warmup < 1.0 ? (share - warmup) / (1.0 - warmup) : 0.0;
  const double height =
      schedule.anneal == config::Anneal::kCosine ? 0.5 * (1.0 + std::cos(std::numbers::pi * down)) : 1.0 - down;
  return peak * std::lerp(schedule.end_frac, 1.0, height);
}

Budget::Budget(const config::BudgetConfig& config) : steps_(config.steps), tokens_(config.tokens) {
  if (!config.time.empty()) {
    seconds_ = util::parse_duration(config.time).value();
  }
  BC_CHECK(steps_ > 0 || tokens_ > 0 || seconds_ > 0);
}

double Budget::share(const Usage& usage) const {
  if (steps_ > 0) {
    return std::min(1.0, static_cast<double>(usage.steps) / static_cast<double>(steps_));
  }
  if (tokens_ > 0) {
    return std::min(1.0, static_cast<double>(usage.tokens) / static_cast<double>(tokens_));
  }
  return std::min(1.0, usage.seconds / seconds_);
}

double Budget::share_for_step(const Usage& usage, int64_t tokens_per_step) const {
  if (steps_ > 0) {
    return std::min(1.0, (static_cast<double>(usage.steps) + 0.5) / static_cast<double>(steps_));
  }
  if (tokens_ > 0) {
    const double middle = static_cast<double>(usage.tokens) + 0.5 * static_cast<double>(tokens_per_step);
    return std::min(1.0, middle / static_cast<double>(tokens_));
  }
  return share(usage);
}

}  // namespace bertcram::train
