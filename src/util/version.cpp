#include "bertcram/util/version.h"

#include "commit.h"  // made by write_commit.cmake

namespace bertcram::util {

std::string_view version() { return BERTCRAM_VERSION; }
std::string_view commit() { return BERTCRAM_COMMIT; }
std::string_view torch_version() { return BERTCRAM_TORCH_VERSION; }

}  // namespace bertcram::util
