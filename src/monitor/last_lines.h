#pragma once

#include <nlohmann/json.hpp>

#include "file_view.h"

namespace bertcram::monitor {

/// The last training and the last evaluation line of a metrics.jsonl; null where there is none within its last 4 MiB.
struct LastLines {
  nlohmann::json training;
  nlohmann::json evaluation;
};

/// Found from the end of the file, so that it costs little however long that is. A line that is being written is left out.
LastLines read_last_lines(const FileView& file);

}  // namespace bertcram::monitor
