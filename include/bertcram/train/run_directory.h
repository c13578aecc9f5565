#pragma once
// The folder of one training run: its files, its lock, and the `latest` link beside it.

#include <filesystem>
#include <optional>
#include <string>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"

namespace bertcram::train {

/// Another process trains in the folder.
class RunTakenError : public ResourceError {
 public:
  using ResourceError::ResourceError;
};

/// Names in the folder of a run.
inline constexpr const char* kCheckpointsFolder = "checkpoints";
inline constexpr const char* kOriginFile = "origin.json";  ///< the folder that `init_from` named, and the shape

class RunDirectory {
 public:
  /// Makes or opens the folder and locks it. @throws ResourceError if it cannot be written or is in use;
  /// ConfigError if it holds something that is not a run
  explicit RunDirectory(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config_file() const { return path_ / "config.yaml"; }
  std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path log_file() const { return path_ / "run.log"; }
  std::filesystem::path status_file() const { return path_ / "status.json"; }
  std::filesystem::path checkpoints() const { return path_ / kCheckpointsFolder; }
  std::filesystem::path model() const { return path_ / "model"; }

  /// Whether the folder, its configuration and its lock are still there.
  bool is_intact() const;
  /// Makes the folder again, and locks it. @throws ResourceError if it cannot be written, RunTakenError
  void make_again();

  /// Points `latest` beside this folder at it, if that name is free or already such a link.
  void link_latest() const;

 private:
  std::filesystem::path path_;
  std::optional<util::DirectoryLock> lock_;
};

}  // namespace bertcram::train
