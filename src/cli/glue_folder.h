#pragma once

#include <string>

namespace bertcram::cli {

/// Where the GLUE tasks are unless --data says: $BERTCRAM_GLUE_DIR, or data/glue.
std::string default_glue_folder();

}  // namespace bertcram::cli
