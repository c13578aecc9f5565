#pragma once
// Is the run well?

#include <cstdint>
#include <deque>
#include <optional>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/config/pretrain_config.h"
#include "step_figures.h"

namespace bertcram::train {

/// Steps whose gradient was not finite: each is skipped; too many in a row mean that the run goes back.
class SkipCounter {
 public:
  explicit SkipCounter(int64_t most_in_a_row) : most_in_a_row_(most_in_a_row) {}

  /// @return whether that was one too many
  bool after_step(StepOutcome outcome);
  int64_t in_a_row() const { return in_a_row_; }
  void reset() { in_a_row_ = 0; }

 private:
  int64_t most_in_a_row_;
  int64_t in_a_row_ = 0;
};

/// Steps that take far longer than the ones before: a machine that is too hot, or has other work.
class SlowStepDetector {
 public:
  /// @param seconds_per_token  of the step  @return how many times the median of the last steps it was, if it is worth a
  /// warning: at most one in 200 steps
  std::optional<double> after_step(double seconds_per_token);

 private:
  std::deque<double> last_;
  int64_t quiet_ = 0;
};

/// Steps that wait for their data: a disk or network that is too slow.
class StallDetector {
 public:
  /// @return the share of the last 32 steps that was spent on waiting, if it is worth a warning: once
  std::optional<double> after_step(double load_seconds, double step_seconds);

 private:
  double load_seconds_ = 0;
  double step_seconds_ = 0;
  int64_t steps_ = 0;
  bool is_noted_ = false;
};

/// Whether a held-out loss says that nothing but the frequencies of tokens was learned, late enough to worry.
/// @param steps  done: of very few nothing is expected  @param share  of the budget
bool is_on_unigram_plateau(double held_out_loss, double unigram_entropy, int64_t steps, double share);

/// Looks after the steps of a run and logs what is wrong with them.
class HealthWatch {
 public:
  /// @param budget_seconds  of a budget of time
  explicit HealthWatch(const config::HealthConfig& config, std::optional<double> budget_seconds = {})
      : skips_(config.max_skipped_steps), budget_seconds_(budget_seconds) {}

  /// @param position  after the step: gets the skipped ones counted  @return whether the run has to go back
  bool after_step(const StepFigures& figures, double seconds, checkpoint::TrainState& position);
  void after_evaluation(double held_out_loss, double unigram_entropy, int64_t steps, double share);

  /// Whether the last steps were skipped: no time for a checkpoint.
  bool is_ill() const { return skips_.in_a_row() > 0; }
  int64_t skipped_in_a_row() const { return skips_.in_a_row(); }
  void has_gone_back() { skips_.reset(); }

 private:
  void warn_of_long_steps(double first_step_seconds) const;

  SkipCounter skips_;
  std::optional<double> budget_seconds_;
  SlowStepDetector slow_steps_;
  StallDetector stalls_;
  bool is_plateau_noted_ = false;
};

}  // namespace bertcram::train
