#include "bertcram/monitor/metrics_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "bertcram/util/file.h"
#include "bertcram/util/json.h"

namespace bertcram::monitor {

using nlohmann::json;

MetricsLog::MetricsLog(const std::filesystem::path& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    util::throw_write_error(path, errno);
  }
}

MetricsLog::~MetricsLog() { ::close(descriptor_); }

void MetricsLog::write(const json& line) {
  const std::string text = util::json_text(line) + "\n";
  if (const int error_number = util::write_fully(descriptor_, std::as_bytes(std::span(text))); error_number != 0) {
    util::throw_write_error(path_, error_number);
  }
}

int64_t MetricsLog::size_bytes() const { return ::lseek(descriptor_, 0, SEEK_END); }

void rewind_metrics(const std::filesystem::path& path, int64_t size_bytes) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(path, missing);
  if (!missing && static_cast<int64_t>(size) > size_bytes && ::truncate(path.c_str(), size_bytes) != 0) {
    util::throw_write_error(path, errno);
  }
}

}  // namespace bertcram::monitor
