#include "bertcram/util/staged_folder.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"

namespace bertcram::util {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kStagingFolder = ".partial";
/// Written when everything is staged: names the seal and what is to be removed. With it the new content is decided.
constexpr const char* kJournal = ".publish.json";

fs::path journal_of(const fs::path& folder) { return folder / kStagingFolder / kJournal; }

/// What publish() has decided.
struct Journal {
  std::string seal;
  std::vector<std::string> obsolete;
};

bool is_plain_name(const std::string& name) {
  return !name.empty() && !fs::path(name).has_parent_path() && name != "." && name != "..";
}

/// @throws DataError if it is damaged, or names anything outside the folder
Journal read_journal(const fs::path& folder) {
  const fs::path path = journal_of(folder);
  try {
    const json stored = parse_json(read_file(path));
    Journal journal{.seal = stored.at("seal"), .obsolete = stored.at("obsolete")};
    if (is_plain_name(journal.seal) && std::ranges::all_of(journal.obsolete, is_plain_name)) {
      return journal;
    }
  } catch (const json::exception&) {
    // refused below
  }
  throw DataError(cat(path.string(), ": damaged; remove ", path.parent_path().string(), " and write the folder anew"));
}

/// Names of what is staged, sorted; the seal comes last.
std::vector<std::string> staged_names(const fs::path& staging, const std::string& seal) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(staging)) {
    const std::string name = entry.path().filename().string();
    if (name != kJournal && name != seal) {
      names.push_back(name);
    }
  }
  std::ranges::sort(names);
  names.push_back(seal);
  return names;
}

/// Carries out a journal from wherever an earlier attempt ended: every move is done once and can be repeated.
void carry_out(const fs::path& folder) {
  const fs::path staging = folder / kStagingFolder;
  const Journal journal = read_journal(folder);
  if (fs::exists(staging / journal.seal)) {
    fs::remove(folder / journal.seal);
    for (const std::string& name : journal.obsolete) {
      fs::remove_all(folder / name);
    }
    for (const std::string& name : staged_names(staging, journal.seal)) {
      if (name == journal.seal) {
        sync_directory(folder);
      }
      if (fs::is_directory(folder / name)) {
        fs::remove_all(folder / name);
      }
      fs::rename(staging / name, folder / name);
    }
    sync_directory(folder);
  }
  fs::remove(staging / kJournal);
  fs::remove_all(staging);
}

/// carry_out with the errors of this project.
void carry_out_or_say_why(const fs::path& folder) {
  try {
    carry_out(folder);
  } catch (const fs::filesystem_error& error) {
    throw_write_error(error.path2().empty() ? error.path1() : error.path2(), error.code().value());
  }
}

}  // namespace

StagedFolder::StagedFolder(fs::path folder) : folder_(std::move(folder)), staging_(folder_ / kStagingFolder) {
  make_writable_directory(folder_);
  if (fs::exists(journal_of(folder_))) {
    carry_out_or_say_why(folder_);
  }
  std::error_code error;
  fs::remove_all(staging_, error);
  if (error) {
    throw_write_error(staging_, error.value());
  }
  make_writable_directory(staging_);
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (!fs::exists(journal_of(folder_), ignored)) {
    fs::remove_all(staging_, ignored);
  }
}

void StagedFolder::publish(const std::string& seal, const std::vector<std::string>& obsolete) {
  BC_CHECK(fs::exists(staging_ / seal), seal);
  const std::vector<std::string> staged = staged_names(staging_, seal);
  json removed = json::array();
  for (const std::string& name : obsolete) {
    BC_CHECK(is_plain_name(name), name);
    if (std::ranges::find(staged, name) == staged.end()) {
      removed.push_back(name);
    }
  }
  sync_directory(staging_);
  write_file_atomically(staging_ / kJournal, json_text({{"seal", seal}, {"obsolete", removed}}) + "\n");
  carry_out_or_say_why(folder_);
}

bool is_half_published(const fs::path& folder) {
  constexpr int kLooks = 3;  // a writer at work removes its journal, and may write the next one
  std::error_code ignored;
  for (int look = 1; fs::exists(journal_of(folder), ignored); ++look) {
    try {
      return fs::exists(folder / kStagingFolder / read_journal(folder).seal);
    } catch (const DataError&) {
      if (look == kLooks) {
        throw;
      }
    }
  }
  return false;
}

bool has_leftovers(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / kStagingFolder, ignored);
}

void refuse_half_published(const fs::path& folder) {
  if (is_half_published(folder)) {
    throw DataError(cat(folder.string(),
                        ": the command that writes this folder was killed while it moved files to their places; give "
                        "that command again, which finishes it"));
  }
}

void refuse_foreign_folder(const fs::path& folder, const std::string& format, const std::string& what) {
  bool is_ours = true;
  if (fs::exists(folder / "manifest.json")) {
    const json stored = try_parse_json(read_file(folder / "manifest.json"));
    is_ours = stored.is_null() || text_member(stored, "format") == format;
  } else {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      is_ours = is_ours && entry.path().filename().string().starts_with(".");
    }
  }
  if (!is_ours) {
    throw ConfigError(
        cat("--output ", folder.string(), " is not empty and holds no ", what, "; choose another folder"));
  }
}

void finish_publishing(const fs::path& folder, const std::string& purpose) {
  if (is_half_published(folder)) {
    const DirectoryLock lock(folder, purpose);
    if (fs::exists(journal_of(folder))) {  // the holder before us may have finished it
      carry_out_or_say_why(folder);
    }
  }
}

}  // namespace bertcram::util
