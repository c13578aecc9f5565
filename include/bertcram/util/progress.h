#pragma once
// Progress of a long command on stderr: a bar with rate and time left on a terminal, otherwise a plain line now and
// then. Thread-safe.

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace bertcram::util {

enum class ProgressStyle { kAuto, kQuiet };

struct ProgressOptions {
  std::string label;       ///< what is being done, e.g. "pack"
  std::string unit = "B";  ///< "B" is shown as KiB, MiB…; anything else as a plain count
  int64_t total = 0;       ///< 0 = unknown
  ProgressStyle style = ProgressStyle::kAuto;
  std::function<std::string()> above = {};  ///< lines that stand above the bar on a terminal, asked for as it is drawn
};

/// How far something has come.
struct ProgressAmount {
  std::string unit = "B";  ///< as in ProgressOptions
  int64_t total = 0;       ///< 0 = unknown
  int64_t done = 0;
  int64_t done_earlier = 0;  ///< of `done`, by an earlier session
  double seconds = 0;        ///< > 0, that the rest took
};

/// Amount, rate and, where it can be told, time left: {"3.0 MiB of 4.0 MiB", "1.0 MiB/s", "1 s left"}.
std::vector<std::string> progress_parts(const ProgressAmount& amount);

class Progress {
 public:
  explicit Progress(ProgressOptions options);
  ~Progress();  ///< clears the bar and what stands above it
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(int64_t amount);
  /// What an earlier session did: part of what is done, but none of the rate. Until something else is done, that begins
  /// here.
  void add_earlier(int64_t amount);
  /// How much is done, in [0, 1], where it is not amount / total.
  void set_share(double share);
  /// What there is to say, instead of amount and rate, the most important first: on a narrow terminal what does not fit is
  /// left out.
  void status(std::vector<std::string> parts);
  /// Whether there is a terminal to draw on.
  bool is_live() const { return terminal_ && options_.style == ProgressStyle::kAuto; }
  /// On a terminal, a line that stays, above the bar: of these cells as many as fit.
  void print_row(const std::vector<std::string>& cells);
  /// What there is to say now.
  std::vector<std::string> said();

 private:
  std::vector<std::string> parts() const;
  void show_now();
  void show();
  static void draw(const std::string& above, const std::string& last);

  ProgressOptions options_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_shown_;
  std::mutex mutex_;
  std::vector<std::string> status_;
  int64_t done_ = 0;
  int64_t done_earlier_ = 0;  ///< of done_
  std::optional<double> share_;
  bool terminal_ = false;
  bool shown_ = false;
};

}  // namespace bertcram::util
