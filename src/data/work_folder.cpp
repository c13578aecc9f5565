#include "work_folder.h"

#include <algorithm>
#include <iterator>
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
constexpr int64_t kStateVersion = 3;  // 1 had 64 buckets, 2 lines without the white space around them

/// What tells a file from another version of itself without reading it.
json stamp_of(const fs::path& file) {
  return {{"path", util::valid_utf8(file.string())},  // as it will be written
          {"file_bytes", fs::file_size(file)},
          {"modified", fs::last_write_time(file).time_since_epoch().count()}};
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

WorkFolder::WorkFolder(const fs::path& output, std::string request, std::vector<fs::path> files, Foreign foreign,
                       const util::StopFlag& stop)
    : folder_(output / kWorkFolder),
      request_(std::move(request)),
      files_(std::move(files)),
      is_repeatable_(std::ranges::all_of(files_, [](const fs::path& file) {
        std::error_code ignored;
        return fs::is_regular_file(file, ignored);
      })) {
  if (is_repeatable_) {
    std::ranges::transform(files_, std::back_inserter(stamps_), stamp_of);
  }
  if (fs::exists(folder_ / kStateFile)) {
    load(foreign, stop);
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

/// The stamps of the files that are read so far, the open one included.
json WorkFolder::begun(const ReaderPosition& position) const {
  const size_t count = std::min(stamps_.size(), position.finished.size() + (position.documents > 0 ? 1U : 0U));
  return std::vector<json>(stamps_.begin(), stamps_.begin() + static_cast<std::ptrdiff_t>(count));
}

/// Takes over what an earlier session saved, if it is the work of this request on these files.
void WorkFolder::load(Foreign foreign, const util::StopFlag& stop) {
  std::string other;
  std::string damage = "damaged";
  try {
    const json state = util::parse_json(util::read_file(folder_ / kStateFile));
    PackProgress progress = progress_of(state);
    if (state.at("version") != kStateVersion) {
      damage = "of another version of bertcram";
    } else if (state.at("request") != request_) {
      other = "with other options";
    } else if (state.at("begun") != begun(progress.position)) {
      other = "on other files, or of files that have changed since";
    } else if (take_spills(state.at("spills"), stop)) {
      saved_ = std::move(progress);
      has_saved_ = true;
      util::log_info("pack", cat("going on after ", util::format_count(saved_.counts.documents_read),
                                 " documents that an earlier session took"));
      return;
    }
  } catch (const json::exception&) {
    // damaged, like what take_spills refuses
  }
  const std::string where = folder_.parent_path().string();
  if (!other.empty() && foreign == Foreign::kRefuse) {
    throw ConfigError(cat("--output ", where, " holds the unfinished work of a pack ", other,
                          "; give that command to go on with it, or --overwrite to drop it"));
  }
  util::log_warning("pack", cat(where, ": the unfinished work there is ",
                                other.empty() ? damage : "that of a pack " + other, "; starting anew"));
}

/// @return whether all spill files begin with the bytes that were saved
bool WorkFolder::take_spills(const json& stored, const util::StopFlag& stop) {
  util::log_info("pack", cat("checking what an earlier session saved in ", folder_.string()));
  std::map<std::string, KeptSpill> kept;
  for (const auto& [name, spill] : stored.items()) {
    KeptSpill file{.bytes = spill.at("bytes"), .hash = {}};
    std::error_code error;
    if (file.bytes < 0 || fs::file_size(folder_ / name, error) < static_cast<uintmax_t>(file.bytes) || error) {
      return false;
    }
    const util::MappedFile content(folder_ / name);
    file.hash.update(content.text().substr(0, static_cast<size_t>(file.bytes)), stop);
    if (file.hash.digest128().hex() != spill.at("xxh3_128")) {
      return false;
    }
    kept.emplace(name, std::move(file));
  }
  kept_ = std::move(kept);
  return true;
}

SpillFile& WorkFolder::spill(const std::string& name, size_t buffer_bytes) {
  auto& file = spills_[name];
  BC_CHECK(file == nullptr, name);
  const auto kept = kept_.extract(name);
  file = std::make_unique<SpillFile>(folder_ / name, buffer_bytes, kept ? std::move(kept.mapped()) : KeptSpill());
  return *file;
}

void WorkFolder::save(const PackProgress& progress) {
  if (!is_repeatable_) {
    return;
  }
  json state = to_json(progress);
  state["version"] = kStateVersion;
  state["request"] = request_;
  state["begun"] = begun(progress.position);
  for (const auto& [name, file] : spills_) {
    file->flush();
    state["spills"][name] = {{"bytes", file->size_bytes()}, {"xxh3_128", file->hash()}};
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
