#include "glue_folder.h"

#include <cstdlib>

namespace bertcram::cli {

std::string default_glue_folder() {
  const char* from_environment = std::getenv("BERTCRAM_GLUE_DIR");
  return from_environment != nullptr ? from_environment : "data/glue";
}

}  // namespace bertcram::cli
