#pragma once

#include <chrono>

namespace bertcram::train {

/// Seconds of training, across sessions.
class TrainingClock {
 public:
  explicit TrainingClock(double earlier_seconds) : earlier_seconds_(earlier_seconds), start_(Clock::now()) {}
  double seconds() const { return earlier_seconds_ + std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  double earlier_seconds_;
  Clock::time_point start_;
};

}  // namespace bertcram::train
