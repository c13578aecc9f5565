#include "bertcram/util/log.h"

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include "bertcram/util/error.h"
#include "terminal.h"

namespace bertcram::util {
namespace {

constexpr const char* kPattern = "%T %^%L%$ %v";

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::sinks::sink> file_sink(const std::filesystem::path& file) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
    sink->set_level(spdlog::level::debug);
    return sink;
  } catch (const spdlog::spdlog_ex& error) {
    throw ResourceError(cat("cannot write the log file ", file.string(), ": ", error.what()));
  }
}

std::shared_ptr<spdlog::logger> make_logger(LogLevel level) {
  const bool no_color = std::getenv("NO_COLOR") != nullptr;
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(no_color ? spdlog::color_mode::never
                                                                                 : spdlog::color_mode::automatic);
  sink->set_level(to_spdlog(level));
  auto logger = std::make_shared<spdlog::logger>("bertcram", std::move(sink));
  logger->set_level(spdlog::level::debug);
  // Away with what util::Progress drew below, until it is drawn again.
  logger->set_pattern(can_redraw_stderr() ? std::string(kClear) + kPattern : kPattern);
  logger->flush_on(spdlog::level::debug);
  // A log line that cannot be written (disk full) must never end a run.
  logger->set_error_handler([](const std::string&) {});
  return logger;
}

// The process has one stderr, hence one logger; everything else about a run is passed down explicitly.
std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger(LogLevel::kInfo);
  return instance;
}

}  // namespace

void configure_logging(const LogOptions& options) {
  logger() = make_logger(options.level);
  if (!options.file.empty()) {
    add_log_file(options.file);
  }
}

void add_log_file(const std::filesystem::path& file) {
  auto sink = file_sink(file);
  sink->set_pattern("%Y-%m-%d %T %L %v");
  logger()->sinks().push_back(std::move(sink));
}

void log(LogLevel level, const char* room, const std::string& message) {
  logger()->log(to_spdlog(level), "{}: {}", room, message);
}

}  // namespace bertcram::util
