#include "bertcram/train/run_directory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/util/error.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

/// What a run writes itself: a session that was killed early leaves some of it without config.yaml.
bool is_ours(const std::string& name) {
  constexpr std::array<std::string_view, 8> kOurs = {
      ".lock", "run.log", "status.json", "metrics.jsonl", kCheckpointsFolder, "model", "config.yaml", kOriginFile};
  return std::ranges::find(kOurs, name) != kOurs.end() || name.find(".tmp-") != std::string::npos;
}

/// By its logs, or by a checkpoint: a log that somebody removed is made again.
bool is_run(const fs::path& folder) {
  return (fs::exists(folder / "config.yaml") && fs::exists(folder / "metrics.jsonl")) ||
         !checkpoint::list_checkpoints(folder / kCheckpointsFolder).empty();
}

enum class Lock { kOurs, kMissing, kTaken };

/// By the process that the lock file names. (Not by its inode: some network file systems change them.)
Lock state_of_lock(const fs::path& folder) {
  const fs::path file = folder / ".lock";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    return Lock::kMissing;
  }
  try {
    const std::string owner = util::read_file(file);
    return owner.empty() || owner == std::to_string(::getpid()) ? Lock::kOurs : Lock::kTaken;
  } catch (const Error&) {
    return Lock::kOurs;  // unreadable for the moment
  }
}

/// The folder, writable, and either empty or a run.
fs::path prepared(const fs::path& path) {
  if (fs::exists(path) && !fs::is_directory(path)) {
    throw ConfigError(cat("--output ", path.string(), " is a file, expected a folder"));
  }
  if (fs::is_symlink(path) && !fs::exists(path)) {
    throw ConfigError(cat("--output ", path.string(), " is a link to a folder that does not exist"));
  }
  bool has_foreign_content = false;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    has_foreign_content = has_foreign_content || !is_ours(entry.path().filename().string());
  }
  if (has_foreign_content && !is_run(path)) {
    throw ConfigError(
        cat("--output ", path.string(), " is not empty and holds no training run; choose another folder"));
  }
  util::make_writable_directory(path);
  return fs::weakly_canonical(fs::absolute(path));  // `latest` given as output is the run behind it
}

}  // namespace

RunDirectory::RunDirectory(const fs::path& path) : path_(prepared(path)) {
  make_again();
  util::remove_stale_temporaries(path_);
  util::remove_stale_temporaries(model());
}

bool RunDirectory::is_intact() const {
  std::error_code ignored;
  return state_of_lock(path_) == Lock::kOurs && fs::exists(config_file(), ignored);
}

void RunDirectory::make_again() {
  util::make_writable_directory(path_);
  const Lock found = state_of_lock(path_);
  if (lock_ && found == Lock::kOurs) {
    return;
  }
  if (lock_ && found == Lock::kTaken) {
    throw RunTakenError(cat("pretrain: another bertcram process took ", path_.string(), " over; this one ends"));
  }
  lock_.reset();
  try {
    lock_.emplace(path_, "pretrain");
  } catch (const ResourceError& error) {  // in use, or there is no room for the file
    if (state_of_lock(path_) == Lock::kTaken) {
      throw RunTakenError(error.what());
    }
    throw;
  }
}

void RunDirectory::link_latest() const {
  const fs::path name = path_.has_filename() ? path_ : path_.parent_path();
  util::replace_link(name.parent_path() / "latest", name.filename());
}

}  // namespace bertcram::train
