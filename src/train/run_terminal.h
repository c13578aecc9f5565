#pragma once
// What a run shows on a terminal while it trains; where there is none, a plain line now and then.

#include <cstdint>
#include <optional>
#include <string>

#include "bertcram/train/held_out.h"
#include "bertcram/util/progress.h"

namespace bertcram::train {

/// What is known of a run at a step.
struct RunFigures {
  int64_t step = 0;
  double share = 0;  ///< of the budget
  double loss = 0;
  std::optional<double> replaced_token_loss = std::nullopt;
  double learning_rate = 0;
  double tokens_per_second = 0;
  std::optional<double> mfu = std::nullopt;
  double seconds_left = 0;
};

/// A line that is drawn again and again, and above it a table that grows by a row with each evaluation.
class RunTerminal {
 public:
  explicit RunTerminal(util::ProgressStyle style)
      : progress_({.label = "pretrain", .unit = "tokens", .style = style}) {}

  bool is_live() const { return progress_.is_live(); }
  /// Every step. @param share  of the budget
  void advance(int64_t tokens, double share);
  /// With every metrics line.
  void step(const RunFigures& figures);
  /// A row of the table, and the held-out loss on the line from now on. @param scores  of this step
  /// @param share  of the budget
  void evaluation(int64_t step, const HeldOutScores& scores, double share, double seconds_left);

 private:
  void say_status();

  util::Progress progress_;
  std::optional<RunFigures> last_;  ///< none before the first metrics line
  std::optional<HeldOutScores> held_out_;
  int64_t rows_ = 0;
};

}  // namespace bertcram::train
