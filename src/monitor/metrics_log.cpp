#include "bertcram/monitor/metrics_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"

namespace bertcram::monitor {

using nlohmann::json;

namespace {

/// Where the last whole line among the first `size_bytes` ends.
int64_t whole_lines(const std::filesystem::path& path, int64_t size_bytes) {
  if (size_bytes <= 0) {
    return 0;
  }
  const util::MappedFile file(path);
  const size_t newline = file.text().substr(0, static_cast<size_t>(size_bytes)).rfind('\n');
  return newline == std::string_view::npos ? 0 : static_cast<int64_t>(newline) + 1;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& path) : path_(path) { reopen(); }

MetricsLog::~MetricsLog() {
  flush();
  ::close(descriptor_);
}

void MetricsLog::write(const json& line) {
  kept_ += util::json_text(line) + "\n";
  flush();
}

void MetricsLog::flush() {
  if (kept_.empty()) {
    return;
  }
  const int64_t before = size_bytes();
  const int error_number = util::write_fully(descriptor_, std::as_bytes(std::span(kept_)));
  if (error_number == 0) {
    kept_.clear();
    is_failing_ = false;
    return;
  }
  [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, before);  // no half line
  if (!is_failing_) {
    util::log_warning("monitor",
                      cat(path_.string(), " cannot be written (", std::generic_category().message(error_number),
                          "); its lines are kept in memory until it can"));
  }
  is_failing_ = true;
}

bool MetricsLog::is_gone() const {
  struct stat opened {};
  std::error_code ignored;
  return !std::filesystem::exists(path_, ignored) || ::fstat(descriptor_, &opened) != 0 || opened.st_nlink == 0;
}

void MetricsLog::reopen() {
  const int descriptor = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    util::throw_write_error(path_, errno);
  }
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  descriptor_ = descriptor;
}

int64_t MetricsLog::size_bytes() const { return ::lseek(descriptor_, 0, SEEK_END); }

void rewind_metrics(const std::filesystem::path& path, int64_t size_bytes) {
  std::error_code missing;
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, missing));
  if (missing) {
    return;
  }
  const int64_t kept = whole_lines(path, std::min(size, size_bytes));
  if (kept < size && ::truncate(path.c_str(), kept) != 0) {
    util::throw_write_error(path, errno);
  }
}

}  // namespace bertcram::monitor
