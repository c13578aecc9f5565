#include "bertcram/util/folders.h"

#include <algorithm>

namespace bertcram::util {

namespace fs = std::filesystem;

std::vector<std::string> folder_names_in(const fs::path& folder, std::error_code& failure) {
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    std::error_code unknown;  // an entry that goes meanwhile is none
    if (entry->is_directory(unknown)) {
      names.push_back(entry->path().filename().string());
    }
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace bertcram::util
