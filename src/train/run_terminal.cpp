#include "run_terminal.h"

#include <cmath>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/table.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

using util::format_count;
using util::format_duration;
using util::format_fixed;

std::string percent(double share) { return format_fixed(100 * share, 1) + " %"; }

/// To the right of a column.
std::string cell(const std::string& text, size_t width) {
  return std::string(width - std::min(width, util::columns_of(text)), ' ') + text;
}

}  // namespace

void RunTerminal::advance(int64_t tokens, double share) {
  progress_.set_share(share);
  progress_.add(tokens);
}

void RunTerminal::step(const RunFigures& figures) {
  last_ = figures;
  say_status();
}

void RunTerminal::say_status() {
  if (!last_) {
    return;
  }
  const RunFigures& figures = *last_;
  std::vector<std::string> parts = {cat("step ", format_count(figures.step)), percent(figures.share) + " of the budget",
                                    format_duration(figures.seconds_left) + " left",
                                    cat("loss ", format_fixed(figures.loss, 3))};
  if (figures.replaced_token_loss) {
    parts.back() += " + " + format_fixed(*figures.replaced_token_loss, 3);
  }
  if (held_out_) {
    parts.push_back(cat("held out ", format_fixed(held_out_->loss, 3)));
  }
  parts.push_back(format_count(std::llround(figures.tokens_per_second)) + " tokens/s");
  parts.push_back(cat("lr ", util::format_number(std::round(figures.learning_rate * 1e7) / 1e7)));
  if (figures.mfu) {
    parts.push_back("MFU " + percent(*figures.mfu));
  }
  progress_.status(std::move(parts));
}

void RunTerminal::evaluation(int64_t step, const HeldOutScores& scores, double share, double seconds_left) {
  constexpr int64_t kRowsOfAScreen = 20;  // then the head comes again
  if (rows_++ % kRowsOfAScreen == 0) {
    progress_.print_row({cell("step", 10), cell("held out", 9), cell("change", 8), cell("accuracy", 9), cell("loss", 8),
                         cell("budget", 8), cell("tokens/s", 10), cell("time left", 12)});
  }
  std::string change;
  if (held_out_ && held_out_->masked_tokens == scores.masked_tokens) {  // the last one is on more rows
    const double difference = scores.loss - held_out_->loss;
    change = cat(difference > 0 ? "+" : "", format_fixed(difference, 4));
  }
  held_out_ = scores;
  say_status();
  progress_.print_row({cell(format_count(step), 10), cell(format_fixed(scores.loss, 4), 9), cell(change, 8),
                       cell(percent(scores.accuracy), 9), cell(last_ ? format_fixed(last_->loss, 3) : "", 8),
                       cell(percent(share), 8),
                       cell(last_ ? format_count(std::llround(last_->tokens_per_second)) : "", 10),
                       cell(format_duration(seconds_left), 12)});
}

}  // namespace bertcram::train
