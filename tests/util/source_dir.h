#pragma once
// Where the files are that tests read: configs, documents, goldens.

#include <cstdlib>
#include <filesystem>

namespace bertcram::test {

/// BERTCRAM_SOURCE_DIR, or the folder around the test's own (build/): tests also run where they were not built.
inline std::filesystem::path source_dir() {
  const char* given = std::getenv("BERTCRAM_SOURCE_DIR");
  return given != nullptr ? given : std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

/// BERTCRAM_DATA_DIR, or the shared folder beside the checkout: public data sets, which may be absent.
inline std::filesystem::path data_dir() {
  const char* given = std::getenv("BERTCRAM_DATA_DIR");
  return given != nullptr ? given : source_dir() / "../shared/data";
}

}  // namespace bertcram::test
