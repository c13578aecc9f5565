#include "bertcram/monitor/metrics_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>

#include "bertcram/util/file.h"
#include "bertcram/util/text.h"

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
  const std::string text = line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  const ssize_t written = ::write(descriptor_, text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    util::throw_write_error(path_, written < 0 ? errno : ENOSPC);
  }
}

void rewind_metrics(const std::filesystem::path& path, int64_t last_step) {
  if (!std::filesystem::exists(path)) {
    return;
  }
  std::string kept;
  const std::string content = util::read_file(path);
  for (const std::string_view line : util::split(content, '\n')) {
    const json parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
    const json step = parsed.is_object() ? parsed.value("step", json(0)) : json();
    if (step.is_number() && step.get<int64_t>() <= last_step) {
      kept += line;
      kept += '\n';
    }
  }
  if (kept != content) {
    util::write_file_atomically(path, kept);
  }
}

}  // namespace bertcram::monitor
