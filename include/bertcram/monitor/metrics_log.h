#pragma once
// metrics.jsonl: one JSON object per line, appended and flushed line by line (docs/formats.md).

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace bertcram::monitor {

class MetricsLog {
 public:
  /// Opens for appending. @throws ResourceError
  explicit MetricsLog(const std::filesystem::path& path);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  /// Appends one line in one write. @throws ResourceError
  void write(const nlohmann::json& line);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Drops the lines of steps after `last_step` and a cut last line: what a resumed run will write again.
/// A file that does not exist is fine.
void rewind_metrics(const std::filesystem::path& path, int64_t last_step);

}  // namespace bertcram::monitor
