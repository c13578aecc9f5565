#include "bertcram/monitor/metrics_sink.h"

#include <nlohmann/json.hpp>

namespace bertcram::monitor {

MetricsSink::MetricsSink(const std::filesystem::path& metrics_file, int64_t first_step)
    : metrics_file_(metrics_file), log_(metrics_file), first_step_(first_step) {}

void MetricsSink::write(const nlohmann::json& line) {
  log_.write(line);
  events().scalars(line);
}

void MetricsSink::rewind(int64_t size_bytes, int64_t next_step) {
  log_.drop_kept();
  rewind_metrics(metrics_file_, size_bytes);
  first_step_ = next_step;
  if (events_) {
    events_->restart(next_step);
  }
}

int64_t MetricsSink::flushed_bytes() {
  log_.flush();
  return log_.size_bytes();
}

EventFile& MetricsSink::events() {
  return events_ ? *events_ : events_.emplace(metrics_file_.parent_path(), first_step_);
}

}  // namespace bertcram::monitor
