#include "bertcram/util/scratch_folder.h"

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "bertcram/util/error.h"

namespace bertcram::util {

ScratchFolder::ScratchFolder(const std::string& purpose) {
  const char* place = std::getenv("TMPDIR");
  const std::filesystem::path parent = place != nullptr && *place != '\0' ? place : "/tmp";
  std::string name = (parent / ("bertcram-" + purpose + "-XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw ResourceError(cat("no temporary folder can be made in ", parent.string(), ": ",
                            std::generic_category().message(errno), "; name another in TMPDIR"));
  }
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace bertcram::util
