#include "health.h"

#include <algorithm>
#include <vector>

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

bool is_on_unigram_plateau(double held_out_loss, double unigram_entropy, int64_t steps, double share) {
  constexpr int64_t kMany = 100;
  constexpr double kLate = 0.2;
  constexpr double kBarelyBelow = 0.97;
  return steps >= kMany && share >= kLate && held_out_loss > kBarelyBelow * unigram_entropy;
}

}  // namespace bertcram::train
