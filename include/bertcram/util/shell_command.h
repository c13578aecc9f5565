#pragma once
// A command of the user's, run beside a process that has threads, locks and better things to do than wait.

#include <chrono>
#include <functional>
#include <string>

namespace bertcram::util {

/// The text as one word of a POSIX shell: in single quotes where it needs them.
std::string shell_quoted(const std::string& text);

/// How a command ended.
struct ShellOutcome {
  enum class End { kExited, kKilled, kTimedOut, kNotStarted };
  End end = End::kNotStarted;
  int code = 0;             ///< exit status; kKilled: the signal; kNotStarted: errno
  std::string output = {};  ///< the end of what it wrote to stdout and stderr, 64 KiB at most

  bool is_good() const { return end == End::kExited && code == 0; }
  /// "exit status 7: the last line of its output"; for warnings.
  std::string text() const;
};

/// Runs `/bin/sh -c command` with `input` on its stdin and waits for it.
///
/// It gets a session of its own, so that neither Ctrl-C nor a signal to our process group reaches it and it cannot ask at the
/// terminal; default signal handling; and no descriptor but 0, 1 and 2: a lock or a device that we hold open is not passed
/// on. Input is a file in memory: a command that does not read it neither blocks nor gets us a SIGPIPE. All its output is
/// taken, so that it does not block, and the end of it kept.
/// @param deadline  asked again and again; when it is past, the command and all that is left in its process group are killed
ShellOutcome run_shell_command(const std::string& command, const std::string& input,
                               const std::function<std::chrono::steady_clock::time_point()>& deadline);

}  // namespace bertcram::util
