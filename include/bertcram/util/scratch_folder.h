#pragma once

#include <filesystem>
#include <string>

namespace bertcram::util {

/// A new folder of this process alone, below $TMPDIR or /tmp, that vanishes with the object.
class ScratchFolder {
 public:
  /// @param purpose  part of its name  @throws ResourceError if it cannot be made
  explicit ScratchFolder(const std::string& purpose);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace bertcram::util
