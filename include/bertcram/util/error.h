#pragma once
// The one exception hierarchy of bertcram. Each class knows the exit code that main turns it into (docs/formats.md,
// "Exit codes"). A message is one line: what, where, got against expected, what to do next.

#include <sstream>
#include <stdexcept>
#include <string>

namespace bertcram {

/// Process exit codes; users' scripts rely on the numbers.
enum class ExitCode : int {
  kDone = 0,
  kBug = 1,
  kUsage = 2,      ///< wrong command line or configuration
  kData = 3,       ///< missing, truncated, corrupt or unsuitable input
  kResources = 4,  ///< memory, disk space, ports
  kDiverged = 5,   ///< training diverged
  kInterrupted = 130,
  kTerminated = 143,
};

/// Base of everything bertcram throws.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// The user asked for something that cannot be: unknown option, value out of range, contradicting options.
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& message) : Error(ExitCode::kUsage, message) {}
};

/// An input file is missing, damaged, of the wrong version, or does not belong to the others.
class DataError : public Error {
 public:
  explicit DataError(const std::string& message) : Error(ExitCode::kData, message) {}
};

/// A file is there, but the system does not give it: no permission, no memory, a bad disk. Its content may be fine.
class UnreadableError : public DataError {
 public:
  explicit UnreadableError(const std::string& message) : DataError(message) {}
};

/// The machine ran out of something: memory, disk space, permission to write.
class ResourceError : public Error {
 public:
  explicit ResourceError(const std::string& message) : Error(ExitCode::kResources, message) {}
};

/// Training produced numbers that are not finite.
class DivergedError : public Error {
 public:
  explicit DivergedError(const std::string& message) : Error(ExitCode::kDiverged, message) {}
};

/// A tensor function was called with a wrong shape, dtype or device: our mistake, never the user's.
class ShapeError : public Error {
 public:
  explicit ShapeError(const std::string& message) : Error(ExitCode::kBug, message) {}
};

/// An invariant of the program does not hold: our mistake.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& message) : Error(ExitCode::kBug, message) {}
};

/// Joins its arguments with operator<<, for error messages: `cat("row ", 3, " of ", n)`.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace bertcram

/// Checks a programmer's invariant in every build type; never for user input.
#define BC_CHECK(condition, ...)                                                                               \
  do {                                                                                                         \
    if (!(condition)) {                                                                                        \
      throw ::bertcram::InternalError(::bertcram::cat("internal error at ", __FILE__, ":", __LINE__, ": ",     \
                                                      #condition __VA_OPT__(, " - ", ) __VA_ARGS__,            \
                                                      "; please report this with the command that led here")); \
    }                                                                                                          \
  } while (false)
