#include "work_folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "sources.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kWorkFolder = ".work";
constexpr const char* kStateFile = "state.json";
constexpr int64_t kStateVersion = 1;

/// What tells a file from another version of itself without reading it.
json stamp_of(const fs::path& file) {
  return {{"path", json::parse(util::json_text(json(file.string())))},  // as it will be written
          {"file_bytes", fs::file_size(file)},
          {"modified", fs::last_write_time(file).time_since_epoch().count()}};
}

/// The files that are read so far, the open one included.
json stamps_of(const std::vector<fs::path>& files, const ReaderPosition& position) {
  const size_t begun = std::min(files.size(), position.finished.size() + (position.documents > 0 ? 1U : 0U));
  json stamps = json::array();
  for (size_t i = 0; i < begun; ++i) {
    stamps.push_back(stamp_of(files[i]));
  }
  return stamps;
}

PackProgress progress_of(const json& state) {
  PackProgress progress;
  for (const auto& [name, field] : PackCounts::fields()) {
    progress.counts.*field = state.at("counts").at(std::string(name));
  }
  progress.position.finished = sources_of_json(state.at("finished"));
  progress.position.documents = state.at("documents");
  return progress;
}

json to_json(const PackProgress& progress) {
  json counts;
  for (const auto& [name, field] : PackCounts::fields()) {
    counts[std::string(name)] = progress.counts.*field;
  }
  return {{"counts", counts},
          {"finished", to_json(progress.position.finished)},
          {"documents", progress.position.documents}};
}

}  // namespace

WorkFolder::WorkFolder(const fs::path& output, std::string request, std::vector<fs::path> files)
    : folder_(output / kWorkFolder),
      request_(std::move(request)),
      files_(std::move(files)),
      is_repeatable_(std::ranges::all_of(files_, [](const fs::path& file) {
        std::error_code ignored;
        return fs::is_regular_file(file, ignored);
      })) {
  if (fs::exists(folder_ / kStateFile)) {
    has_saved_ = load();
    util::log_info("pack", has_saved_ ? cat("going on after ", util::format_count(saved_.counts.documents_read),
                                            " documents that an earlier session took")
                                      : "other options or inputs than those of the interrupted session: starting anew");
  }
  if (!has_saved_) {
    remove();
  }
  util::make_writable_directory(folder_);
}

WorkFolder::~WorkFolder() {
  if (!has_saved_) {
    remove();
  }
}

/// @return whether the folder holds the work of this request on these files, undamaged
bool WorkFolder::load() {
  try {
    const json state = json::parse(util::read_file(folder_ / kStateFile));
    if (state.at("version") != kStateVersion || state.at("request") != request_) {
      return false;
    }
    PackProgress progress = progress_of(state);
    std::map<std::string, int64_t> bytes = state.at("spills");
    const bool is_whole = std::ranges::all_of(bytes, [&](const auto& spill) {
      return fs::file_size(folder_ / spill.first) >= static_cast<uintmax_t>(spill.second);
    });
    if (!is_whole || state.at("begun") != stamps_of(files_, progress.position)) {
      return false;
    }
    saved_ = std::move(progress);
    saved_bytes_ = std::move(bytes);
    return true;
  } catch (const json::exception&) {
    return false;
  } catch (const fs::filesystem_error&) {
    return false;
  }
}

SpillFile& WorkFolder::spill(const std::string& name, size_t buffer_bytes) {
  auto& file = spills_[name];
  BC_CHECK(file == nullptr, name);
  const auto saved = saved_bytes_.find(name);
  file = std::make_unique<SpillFile>(folder_ / name, buffer_bytes, saved == saved_bytes_.end() ? 0 : saved->second);
  return *file;
}

void WorkFolder::save(const PackProgress& progress) {
  if (!is_repeatable_) {
    return;
  }
  json state = to_json(progress);
  state["version"] = kStateVersion;
  state["request"] = request_;
  state["begun"] = stamps_of(files_, progress.position);
  for (const auto& [name, file] : spills_) {
    state["spills"][name] = file->flush();
  }
  util::sync_filesystem(folder_);  // one commit instead of one per file, of which there are some hundred
  util::write_file_atomically(folder_ / kStateFile, util::json_text(state) + "\n");
  saved_ = progress;
  has_saved_ = true;
}

void WorkFolder::remove() {
  spills_.clear();
  std::error_code ignored;  // what cannot be removed is in nobody's way: the next session starts from nothing, too
  fs::remove(folder_ / kStateFile, ignored);
  fs::remove_all(folder_, ignored);
  has_saved_ = false;
}

void WorkFolder::remove_leftover(const fs::path& output) {
  if (fs::exists(output / kWorkFolder)) {
    const util::DirectoryLock lock(output, "pack");
    fs::remove_all(output / kWorkFolder);
  }
}

}  // namespace bertcram::data
