#pragma once
// Parts of a run as JSON and CSV, for the dashboard: docs/monitoring.md.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bertcram/monitor/report.h"

namespace bertcram::monitor {

/// What a curve is drawn by.
enum class XAxis { kSteps, kTokens, kSeconds };

struct SeriesOptions {
  XAxis x = XAxis::kSteps;
  size_t points = 1000;                ///< of a curve, at most; extremes are kept
  std::vector<std::string> keys = {};  ///< columns; empty: those that the page draws
};

/// Curves by name, `NAME_smooth` beside the restless ones; numbers to six digits, gaps null. Without a finite value there is
/// no curve.
nlohmann::json series_json(const RunFacts& run, const SeriesOptions& options);

/// Sessions, configuration, GLUE scores beside published rows (null if there are none).
nlohmann::json details_json(const RunFacts& run);

/// A table with all its columns; what is no finite number is empty.
std::string metrics_csv(const MetricsTable& table);

}  // namespace bertcram::monitor
