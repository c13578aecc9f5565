#pragma once
// Logging facade: one line per event on stderr, optionally copied to a file. Implemented with spdlog, which never
// appears in a header: its fmt would collide with the one LibTorch ships (docs/decisions.md).
// Logging is thread-safe; opening logs is not.

#include <filesystem>
#include <string>

namespace bertcram::util {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;  ///< events below it are not shown on stderr
  std::filesystem::path file;        ///< when set, every event from kDebug up is appended here too
};

/// Opens the log. Called once by cli before a command runs; @throws ResourceError if the file cannot be opened.
void configure_logging(const LogOptions& options);

/// Copies all further events to `file` as well (a run directory's run.log).
void add_log_file(const std::filesystem::path& file);

/// Writes `HH:MM:SS I room: message`.
void log(LogLevel level, const char* room, const std::string& message);

inline void log_debug(const char* room, const std::string& message) { log(LogLevel::kDebug, room, message); }
inline void log_info(const char* room, const std::string& message) { log(LogLevel::kInfo, room, message); }
inline void log_warning(const char* room, const std::string& message) { log(LogLevel::kWarning, room, message); }
inline void log_error(const char* room, const std::string& message) { log(LogLevel::kError, room, message); }

}  // namespace bertcram::util
