#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "bertcram/monitor/event_file.h"
#include "bertcram/monitor/metrics_log.h"

namespace bertcram::monitor {

/// All that is measured of a run goes through here: to metrics.jsonl, which is the truth, and to tensorboard's event file
/// beside it, a new one for each session, begun with the first line.
class MetricsSink {
 public:
  /// @param metrics_file  metrics.jsonl, which is appended to  @param first_step  that this session takes
  /// @throws ResourceError
  MetricsSink(const std::filesystem::path& metrics_file, int64_t first_step);

  void write(const nlohmann::json& line);
  /// Text for people, for tensorboard alone. @param markdown  see EventFile
  void text(const std::string& tag, int64_t step, const std::string& markdown) { events().text(tag, step, markdown); }
  /// For tensorboard alone.
  void histogram(const std::string& tag, int64_t step, const Histogram& histogram) {
    events().histogram(tag, step, histogram);
  }
  /// The run goes on from an earlier step: metrics.jsonl is cut to its first `size_bytes`, events from the step on are void.
  /// @throws ResourceError
  void rewind(int64_t size_bytes, int64_t next_step);

  /// Tries again to write lines of metrics.jsonl that were kept. @return bytes of it on disk
  int64_t flushed_bytes();
  /// Whether metrics.jsonl was removed or moved away; `restore` makes it again.
  bool is_gone() const { return log_.is_gone(); }
  void restore() { log_.reopen(); }

 private:
  EventFile& events();

  std::filesystem::path metrics_file_;
  MetricsLog log_;
  std::optional<EventFile> events_;
  int64_t first_step_;
};

}  // namespace bertcram::monitor
