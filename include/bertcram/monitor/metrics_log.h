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
  int64_t size_bytes() const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Cuts the log to its first `size_bytes`, which a checkpoint remembers: a resumed run writes the rest again.
/// A file that is shorter or does not exist is left alone. @throws ResourceError
void rewind_metrics(const std::filesystem::path& path, int64_t size_bytes);

}  // namespace bertcram::monitor
