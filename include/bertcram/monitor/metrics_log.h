#pragma once
// metrics.jsonl: one JSON object per line, appended and flushed line by line (docs/formats.md).

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace bertcram::monitor {

class MetricsLog {
 public:
  /// Opens for appending. @throws ResourceError
  explicit MetricsLog(const std::filesystem::path& path);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  /// Appends one line in one write. A line that cannot be written (a full disk) is kept, with one warning, and written
  /// before the next: a log is no reason to end a run.
  void write(const nlohmann::json& line);
  /// Tries again to write the lines that were kept.
  void flush();
  /// Forgets them: the run goes on from an earlier step.
  void drop_kept() { kept_.clear(); }
  /// Of what is on disk; a line that was kept is not.
  int64_t size_bytes() const;

  /// Whether the file was removed since it was opened, or its name moved away.
  bool is_gone() const;
  /// Opens it under its name again, empty if it is not there. @throws ResourceError
  void reopen();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::string kept_;
  bool is_failing_ = false;
};

/// Cuts the log to its first `size_bytes`, which a checkpoint remembers: a resumed run writes the rest again.
/// Half a line at the end goes too: the next one would be glued to it. A file that is shorter and whole, or does not
/// exist, is left alone. @throws ResourceError, DataError if it cannot be read
void rewind_metrics(const std::filesystem::path& path, int64_t size_bytes);

}  // namespace bertcram::monitor
