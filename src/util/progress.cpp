#include "bertcram/util/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/table.h"
#include "bertcram/util/text.h"
#include "terminal.h"

namespace bertcram::util {
namespace {

constexpr double kBarIntervalSeconds = 0.2;
constexpr double kLineIntervalSeconds = 30;  // where stderr is not a terminal
constexpr int64_t kBarWidth = 24;
constexpr size_t kColumnsForBar = 72;  // figures say more where there is little room

/// Of the terminal; what does not fit would wrap, and be left behind when it is drawn again.
winsize terminal_size() {
  winsize size{};
  const bool is_known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
  return is_known ? size : winsize{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
}

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string amount_text(double amount, const std::string& unit) {
  const auto whole = static_cast<int64_t>(amount);
  return unit == "B" ? format_bytes(whole) : format_count(whole) + " " + unit;
}

}  // namespace

std::vector<std::string> progress_parts(const ProgressAmount& amount) {
  const double rate = static_cast<double>(amount.done - amount.done_earlier) / amount.seconds;
  std::string text = amount_text(static_cast<double>(amount.done), amount.unit);
  if (amount.total > 0) {
    text += " of " + amount_text(static_cast<double>(amount.total), amount.unit);
  }
  std::vector<std::string> parts = {text, amount_text(rate, amount.unit) + "/s"};
  if (amount.total > 0 && rate > 0) {
    parts.push_back(format_duration(static_cast<double>(amount.total - amount.done) / rate) + " left");
  }
  return parts;
}

Progress::Progress(ProgressOptions options)
    : options_(std::move(options)),
      start_(std::chrono::steady_clock::now()),
      last_shown_(start_),
      terminal_(can_redraw_stderr()) {}

Progress::~Progress() {
  if (shown_ && terminal_) {
    std::fputs(kClear, stderr);
  }
}

void Progress::add(int64_t amount) {
  const std::lock_guard lock(mutex_);
  done_ += amount;
  show();
}

void Progress::add_earlier(int64_t amount) {
  const std::lock_guard lock(mutex_);
  if (done_ == done_earlier_) {
    start_ = std::chrono::steady_clock::now();
  }
  done_ += amount;
  done_earlier_ += amount;
}

void Progress::set_share(double share) {
  const std::lock_guard lock(mutex_);
  share_ = share;
}

void Progress::status(std::vector<std::string> parts) {
  const std::lock_guard lock(mutex_);
  status_ = std::move(parts);
}

void Progress::print_row(const std::vector<std::string>& cells) {
  const std::lock_guard lock(mutex_);
  if (!is_live()) {
    return;
  }
  const std::string line = kClear + join_fitting(cells, "  ", terminal_size().ws_col) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  if (shown_) {
    show_now();
  }
}

std::vector<std::string> Progress::said() {
  const std::lock_guard lock(mutex_);
  return parts();
}

std::vector<std::string> Progress::parts() const {
  if (!status_.empty()) {
    return status_;
  }
  return progress_parts({.unit = options_.unit,
                         .total = options_.total,
                         .done = done_,
                         .done_earlier = done_earlier_,
                         .seconds = std::max(1e-3, seconds_between(start_, std::chrono::steady_clock::now()))});
}

void Progress::show() {
  if (options_.style == ProgressStyle::kQuiet) {
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const double interval = terminal_ ? kBarIntervalSeconds : kLineIntervalSeconds;
  if (seconds_between(last_shown_, now) < interval) {
    return;
  }
  show_now();
}

void Progress::show_now() {
  last_shown_ = std::chrono::steady_clock::now();
  shown_ = true;
  if (!terminal_) {
    log_info(options_.label.c_str(), join(parts(), ", "));
    return;
  }
  const size_t columns = terminal_size().ws_col;
  std::string begin = options_.label + " ";
  if (columns >= kColumnsForBar && (options_.total > 0 || share_)) {
    const double share = share_.value_or(static_cast<double>(done_) / static_cast<double>(options_.total));
    const int64_t filled = std::clamp<int64_t>(static_cast<int64_t>(kBarWidth * share), 0, kBarWidth);
    begin += "[" + std::string(static_cast<size_t>(filled), '=') +
             std::string(static_cast<size_t>(kBarWidth - filled), ' ') + "] ";
  }
  const size_t room = columns - std::min(columns, columns_of(begin));
  draw(options_.above ? options_.above() : "", begin + join_fitting(parts(), ", ", room));
}

void Progress::draw(const std::string& above, const std::string& last) {
  const winsize size = terminal_size();
  std::vector<std::string_view> lines = split(above, '\n');
  lines.back() = last;  // instead of what follows the last newline: nothing
  if (lines.size() > size.ws_row) {
    lines.erase(lines.begin(), lines.end() - size.ws_row);
  }
  std::string text = kClear;
  for (size_t i = 0; i < lines.size(); ++i) {
    text += cat(i == 0 ? "" : "\n", first_columns(lines[i], size.ws_col));
  }
  if (lines.size() > 1) {  // a log line clears what is below it
    text += cat("\033[", lines.size() - 1, "A\r");
  }
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace bertcram::util
