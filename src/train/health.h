#pragma once
// Is the run well? Decisions only: the pretrainer acts on them.

#include <cstdint>
#include <deque>
#include <optional>

#include "run_recorder.h"

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
  /// warning: at most one in kQuietSteps
  std::optional<double> after_step(double seconds_per_token);

 private:
  std::deque<double> last_;
  int64_t quiet_ = 0;
};

/// Whether a held-out loss says that nothing but the frequencies of tokens was learned, late enough to worry.
/// @param steps  done: of very few nothing is expected  @param share  of the budget
bool is_on_unigram_plateau(double held_out_loss, double unigram_entropy, int64_t steps, double share);

}  // namespace bertcram::train
