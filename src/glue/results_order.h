#pragma once
// Shared by results.json and the printed table.

#include <string>
#include <vector>

#include "bertcram/glue/results.h"

namespace bertcram::glue {

/// Names of the tasks in the results: GLUE order first, then the user's own by name.
std::vector<std::string> ordered_names(const GlueResults& results);

}  // namespace bertcram::glue
