#include "bertcram/util/shell_command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <span>
#include <system_error>
#include <thread>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/text.h"

namespace bertcram::util {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostOutput = size_t{1} << 16U;  ///< that is kept; also what a pipe holds
constexpr int kLookMilliseconds = 20;             ///< between two looks at whether it has ended

/// A descriptor that is closed with the object.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  void close() {
    if (is_open()) {
      ::close(number_);
      number_ = -1;
    }
  }

 private:
  int number_;
};

/// posix_spawn's two structs, released with the object. Of fork() and exec() by hand it differs in that nothing of ours runs
/// in the child, where another thread may hold any lock, and that the parent's memory is not copied.
class SpawnPlan {
 public:
  SpawnPlan(int input, int output) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);  // also of libraries without O_CLOEXEC
    sigset_t none{};
    sigset_t all{};
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  /// @return errno, or 0
  int spawn(std::string command, pid_t& child) {
    std::string shell = "/bin/sh";
    std::string flag = "-c";
    std::array<char*, 4> words = {shell.data(), flag.data(), command.data(), nullptr};
    return ::posix_spawn(&child, shell.c_str(), &actions_, &attributes_, words.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Waits a moment for output and keeps the end of all that came so far. Closes the pipe at its end.
/// @return how many bytes came
size_t take_output(Descriptor& pipe, std::string& output) {
  if (!pipe.is_open()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kLookMilliseconds));
    return 0;
  }
  pollfd waiting{.fd = pipe.number(), .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, kLookMilliseconds) <= 0) {
    return 0;
  }
  std::array<char, 4096> chunk{};
  const ssize_t count = ::read(pipe.number(), chunk.data(), chunk.size());
  if (count <= 0) {
    pipe.close();
    return 0;
  }
  output.append(chunk.data(), static_cast<size_t>(count));
  if (output.size() > kMostOutput) {
    output.erase(0, output.size() - kMostOutput);
  }
  return static_cast<size_t>(count);
}

/// After SIGKILL: soon, unless it hangs in a system call.
void reap(pid_t child) {
  constexpr int kLooks = 50;
  for (int look = 0; look < kLooks && ::waitpid(child, nullptr, WNOHANG) == 0; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kLookMilliseconds));
  }
}

ShellOutcome wait_for(pid_t child, Descriptor& pipe, const std::function<Clock::time_point()>& deadline) {
  using End = ShellOutcome::End;
  ShellOutcome outcome;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (Clock::now() >= deadline()) {
      ::kill(-child, SIGKILL);  // leads its session, hence its process group
      reap(child);
      outcome.end = End::kTimedOut;
      return outcome;
    }
    take_output(pipe, outcome.output);
  }
  // What is left in it, and no more: what was started in the background may hold it open and write on.
  for (size_t left = kMostOutput; left > 0 && pipe.is_open();) {
    const size_t count = take_output(pipe, outcome.output);
    left = count == 0 ? 0 : left - std::min(left, count);
  }
  outcome.end = WIFEXITED(status) ? End::kExited : End::kKilled;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  return outcome;
}

}  // namespace

std::string shell_quoted(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) {
    return text;
  }
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return quoted + "'";
}

std::string ShellOutcome::text() const {
  if (end == End::kNotStarted) {
    return cat("it could not be started: ", std::generic_category().message(code));
  }
  std::string words = end == End::kTimedOut ? "it took too long and was killed"
                      : end == End::kExited ? cat("exit status ", code)
                                            : cat("killed by signal ", code);
  const std::string_view all = trim(output);
  const std::string_view last = all.substr(all.rfind('\n') + 1);
  return last.empty() ? words : cat(words, ": ", excerpt(last, 200));
}

ShellOutcome run_shell_command(const std::string& command, const std::string& input,
                               const std::function<Clock::time_point()>& deadline) {
  const Descriptor file(::memfd_create("bertcram-input", MFD_CLOEXEC));
  std::array<int, 2> ends = {-1, -1};
  if (!file.is_open() || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return {.code = errno};
  }
  Descriptor output(ends[0]);
  Descriptor childs_output(ends[1]);
  int error_number = write_fully(file.number(), std::as_bytes(std::span(input)));
  if (error_number == 0 && ::lseek(file.number(), 0, SEEK_SET) != 0) {
    error_number = errno;
  }
  pid_t child = 0;
  if (error_number == 0) {
    error_number = SpawnPlan(file.number(), childs_output.number()).spawn(command, child);
  }
  if (error_number != 0) {
    return {.code = error_number};
  }
  childs_output.close();
  return wait_for(child, output, deadline);
}

}  // namespace bertcram::util
