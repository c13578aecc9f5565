#include "health.h"

#include <algorithm>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

constexpr size_t kWindow = 32;
constexpr double kSlow = 3.0;
constexpr int64_t kQuietSteps = 200;

}  // namespace

bool SkipCounter::after_step(StepOutcome outcome) {
  if (outcome != StepOutcome::kNotFinite) {
    in_a_row_ = outcome == StepOutcome::kDone ? 0 : in_a_row_;
    return false;
  }
  return ++in_a_row_ >= most_in_a_row_;
}

std::optional<double> SlowStepDetector::after_step(double seconds_per_token) {
  quiet_ = std::max<int64_t>(0, quiet_ - 1);
  std::optional<double> times;
  if (last_.size() == kWindow) {
    std::vector<double> sorted(last_.begin(), last_.end());
    const auto middle = sorted.begin() + kWindow / 2;
    std::nth_element(sorted.begin(), middle, sorted.end());
    if (quiet_ == 0 && *middle > 0 && seconds_per_token > kSlow * *middle) {
      times = seconds_per_token / *middle;
      quiet_ = kQuietSteps;
    }
    last_.pop_front();
  }
  last_.push_back(seconds_per_token);
  return times;
}

std::optional<double> StallDetector::after_step(double load_seconds, double step_seconds) {
  constexpr double kTooMuch = 0.2;
  load_seconds_ += load_seconds;
  step_seconds_ += step_seconds;
  if (++steps_ < static_cast<int64_t>(kWindow)) {
    return std::nullopt;
  }
  const double share = step_seconds_ > 0 ? load_seconds_ / step_seconds_ : 0;
  load_seconds_ = step_seconds_ = 0;
  steps_ = 0;
  const bool is_news = share > kTooMuch && !is_noted_;
  is_noted_ = is_noted_ || is_news;
  return is_news ? std::optional(share) : std::nullopt;
}

bool is_on_unigram_plateau(double held_out_loss, double unigram_entropy, int64_t steps, double share) {
  constexpr int64_t kMany = 100;
  constexpr double kLate = 0.2;
  constexpr double kBarelyBelow = 0.97;
  return steps >= kMany && share >= kLate && held_out_loss > kBarelyBelow * unigram_entropy;
}

bool HealthWatch::after_step(const StepFigures& figures, double seconds, checkpoint::TrainState& position) {
  const std::string step = cat("step ", position.step);
  if (figures.outcome == StepOutcome::kScaleOverflow) {
    util::log_info("pretrain", cat(step, ": overflow in fp16, skipped; the loss is scaled by ",
                                   position.loss_scale.factor, " from now on"));
  } else if (figures.outcome == StepOutcome::kNotFinite) {
    ++position.skipped_steps;
    util::log_warning("pretrain", cat(step, ": the gradient is not finite (loss ", util::format_fixed(figures.loss, 3),
                                      "), the step is skipped; ", position.skipped_steps, " so far"));
  }
  if (const auto times = slow_steps_.after_step(seconds / static_cast<double>(figures.tokens))) {
    util::log_warning("pretrain", cat(step, " took ", util::format_fixed(*times, 1),
                                      " times as long as the ones before; is the machine busy or too hot?"));
  }
  if (const auto share = stalls_.after_step(figures.phases.load, seconds)) {
    util::log_warning("pretrain",
                      cat(step, ": ", util::format_fixed(100 * *share, 0),
                          " % of the time goes into reading and masking rows; is the packed data on a slow disk?"));
  }
  if (position.step == 1) {
    warn_of_long_steps(seconds);
  }
  return skips_.after_step(figures.outcome);
}

/// A time budget of a few steps is no training, and it ends late: a step is not cut short.
void HealthWatch::warn_of_long_steps(double first_step_seconds) const {
  constexpr double kLongStepShare = 0.05;
  if (budget_seconds_ && first_step_seconds > kLongStepShare * *budget_seconds_) {
    const double share = std::min(1.0, first_step_seconds / *budget_seconds_);
    util::log_warning("pretrain",
                      cat("the first step took ", util::format_fixed(100 * share, 0), " % of the budget (",
                          util::format_duration(first_step_seconds), "); give more, or a smaller batch.rows or model"));
  }
}

void HealthWatch::after_evaluation(double held_out_loss, double unigram_entropy, int64_t steps, double share) {
  if (!is_plateau_noted_ && is_on_unigram_plateau(held_out_loss, unigram_entropy, steps, share)) {
    is_plateau_noted_ = true;
    util::log_warning(
        "pretrain",
        "the held-out loss is barely better than that of guessing by the frequency of tokens: the learning rate is "
        "too high or too low, the budget too small for the model, or the text not what it seems");
  }
}

}  // namespace bertcram::train
