#pragma once

#include <string>

#include "run_store.h"

namespace bertcram::monitor {

/// The state and last figures of all runs in Prometheus' text format, version 0.0.4. What a run lacks has no sample.
std::string prometheus_text(const RunStore& store);

}  // namespace bertcram::monitor
