#pragma once

#include <nlohmann/json.hpp>

#include "file_view.h"

namespace bertcram::monitor {

/// `{"training", "evaluation"}`: the last line of each kind in a metrics.jsonl; null where there is none within its last 4 MiB.
/// Found from the end of the file, so that it costs little however long that is. A line that is being written is left out.
nlohmann::json read_last_lines(const FileView& file);

}  // namespace bertcram::monitor
