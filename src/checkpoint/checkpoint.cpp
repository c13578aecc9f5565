#include "bertcram/checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kPrefix = "step-";
constexpr const char* kPartialPrefix = ".partial-";
constexpr const char* kStateFile = "state.json";
constexpr int64_t kVersion = 1;

std::string folder_name(int64_t step) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "%s%010lld", kPrefix, static_cast<long long>(step));
  return name.data();
}

/// Whether the folder is named as a checkpoint: copies that people keep beside them ("step-0000000004.good") are theirs.
bool is_named_as_checkpoint(const fs::path& folder) {
  const std::string name = folder.filename().string();
  const auto step = name.starts_with(kPrefix) ? util::parse_int(name.substr(std::strlen(kPrefix))) : std::nullopt;
  return step && name == folder_name(*step);
}

/// The three tensor files of a checkpoint.
std::array<std::pair<const char*, const std::vector<nn::NamedTensor>*>, 3> files_of(const TrainTensors& tensors) {
  return {{{"weights.safetensors", &tensors.masters},
           {"first_moments.safetensors", &tensors.first_moments},
           {"second_moments.safetensors", &tensors.second_moments}}};
}

json to_json(const TrainState& state, const json& hashes) {
  return {{"format", "bertcram-checkpoint"},
          {"version", kVersion},
          {"step", state.step},
          {"samples", state.samples},
          {"tokens", state.tokens},
          {"elapsed_seconds", state.elapsed_seconds},
          {"optimizer_steps", state.optimizer_steps},
          {"config_yaml", state.config_yaml},
          {"data_id", state.data_id},
          {"runtime", state.runtime},
          {"evaluated_step", state.evaluated_step},
          {"evaluated_share", state.evaluated_share},
          {"reserved_seconds", state.reserved_seconds},
          {"final_evaluation_step", state.final_evaluation_step},
          {"final_evaluation_rows", state.final_evaluation_rows},
          {"metrics_bytes", state.metrics_bytes},
          {"eval_loss", state.eval_loss ? json(*state.eval_loss) : json(nullptr)},
          {"rows_per_pass", state.passes.rows},
          {"recomputes", state.passes.recomputes},
          {"skipped_steps", state.skipped_steps},
          {"rate_factor", state.rate_factor},
          {"loss_scale", state.loss_scale.factor},
          {"loss_scale_good_steps", state.loss_scale.good_steps},
          {"xxh3_128", hashes}};
}

void write_state(const fs::path& checkpoint, const TrainState& state, const json& hashes) {
  json body = to_json(state, hashes);
  body["self_xxh3_128"] = util::hash128(util::json_text(body)).hex();
  util::write_file_atomically(checkpoint / kStateFile, util::json_text(body, 1) + "\n");
}

TrainState state_of(const json& stored) {
  TrainState state;
  state.step = stored.at("step");
  state.samples = stored.at("samples");
  state.tokens = stored.at("tokens");
  state.elapsed_seconds = stored.at("elapsed_seconds");
  state.optimizer_steps = stored.at("optimizer_steps");
  state.config_yaml = stored.at("config_yaml");
  state.data_id = stored.at("data_id");
  state.runtime = stored.value("runtime", "");
  state.evaluated_step = stored.value("evaluated_step", int64_t{0});
  state.evaluated_share = stored.value("evaluated_share", 0.0);
  state.reserved_seconds = stored.value("reserved_seconds", 0.0);
  state.final_evaluation_step = stored.value("final_evaluation_step", int64_t{-1});
  state.final_evaluation_rows = stored.value("final_evaluation_rows", int64_t{0});
  state.metrics_bytes = stored.value("metrics_bytes", int64_t{0});
  if (const auto loss = stored.find("eval_loss"); loss != stored.end() && loss->is_number()) {
    state.eval_loss = loss->get<double>();
  }
  state.passes = {.rows = stored.value("rows_per_pass", int64_t{0}), .recomputes = stored.value("recomputes", false)};
  state.skipped_steps = stored.value("skipped_steps", int64_t{0});
  state.rate_factor = stored.value("rate_factor", 1.0);
  state.loss_scale = {.factor = stored.value("loss_scale", 0.0),
                      .good_steps = stored.value("loss_scale_good_steps", int64_t{0})};
  return state;
}

/// What state.json says.
struct StoredState {
  TrainState state;
  std::map<std::string, std::string> hashes;  ///< of the tensor files, by name
};

/// @throws DataError unless the file is there, whole and of this version
StoredState read_stored(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kStateFile;
  try {
    json stored = util::parse_json(util::read_file(path));
    if (stored.at("format") != "bertcram-checkpoint" || stored.at("version") != kVersion) {
      throw DataError(cat(path.string(), ": not a checkpoint of version ", kVersion));
    }
    const auto claimed = stored.at("self_xxh3_128").get<std::string>();
    stored.erase("self_xxh3_128");
    if (util::hash128(util::json_text(stored)).hex() != claimed) {
      throw DataError(cat(path.string(), ": checksum mismatch"));
    }
    return {.state = state_of(stored), .hashes = stored.at("xxh3_128").get<std::map<std::string, std::string>>()};
  } catch (const json::exception& error) {
    throw DataError(cat(path.string(), ": damaged (", util::json_error_text(error.what()), ")"));
  }
}

/// A checkpoint that cannot be read is neither the best nor the first of a stretch, but may be among the newest.
std::set<fs::path> staying(const std::vector<fs::path>& newest_first, const Retention& retention) {
  const auto newest = std::min(newest_first.size(), static_cast<size_t>(retention.newest));
  std::set<fs::path> stays(newest_first.begin(), newest_first.begin() + static_cast<std::ptrdiff_t>(newest));
  if (!retention.best && retention.every_seconds <= 0) {
    return stays;
  }
  fs::path best;
  double best_loss = std::numeric_limits<double>::infinity();
  std::map<int64_t, fs::path> first_of_stretch;
  for (const fs::path& checkpoint : newest_first) {
    try {
      const TrainState state = read_state(checkpoint);
      if (state.evaluated_step == state.step && state.eval_loss.value_or(best_loss) < best_loss) {
        best = checkpoint;
        best_loss = *state.eval_loss;
      }
      if (retention.every_seconds > 0) {  // older ones come later and replace
        first_of_stretch[static_cast<int64_t>(state.elapsed_seconds / retention.every_seconds)] = checkpoint;
      }
    } catch (const DataError&) {
      continue;
    }
  }
  first_of_stretch.erase(0);  // the beginning of a run is no stretch that anybody wants back
  for (const auto& [stretch, checkpoint] : first_of_stretch) {
    stays.insert(checkpoint);
  }
  if (retention.best && !best.empty()) {
    stays.insert(best);
  }
  return stays;
}

/// What interrupted writes and removals left.
void remove_leftovers(const fs::path& directory) {
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(directory, missing)) {
    if (entry.path().filename().string().starts_with(kPartialPrefix)) {
      fs::remove_all(entry.path());
    }
  }
}

/// Under the name of one that is not complete, which clean_up removes. @return where it is now
fs::path put_aside(const fs::path& checkpoint) {
  fs::path doomed = checkpoint.parent_path() / (kPartialPrefix + checkpoint.filename().string());
  fs::remove_all(doomed);
  fs::rename(checkpoint, doomed);
  return doomed;
}

/// Put aside first: a checkpoint that is half removed must not look complete.
void remove_checkpoint(const fs::path& checkpoint) { fs::remove_all(put_aside(checkpoint)); }

/// On disk.
int64_t bytes_of(const TrainTensors& tensors) {
  int64_t bytes = int64_t{1} << 16;  // state.json, headers, what the run logs meanwhile
  for (const auto* list : {&tensors.masters, &tensors.first_moments, &tensors.second_moments}) {
    for (const auto& [name, tensor] : *list) {
      bytes += static_cast<int64_t>(tensor.nbytes());
    }
  }
  return bytes;
}

}  // namespace

bool has_room(const fs::path& directory, const TrainTensors& tensors) {
  std::error_code unknown;
  const auto space = fs::space(directory, unknown);
  return unknown || space.available >= static_cast<uintmax_t>(bytes_of(tensors));
}

int64_t make_room(const fs::path& directory, const TrainTensors& tensors, const Retention& retention) {
  remove_leftovers(directory);
  const auto checkpoints = list_checkpoints(directory);
  Retention without_age = retention;
  without_age.newest = 1;
  const auto stays = staying(checkpoints, without_age);
  int64_t removed = 0;
  for (auto oldest = checkpoints.rbegin(); oldest != checkpoints.rend() && !has_room(directory, tensors); ++oldest) {
    if (!stays.contains(*oldest)) {
      remove_checkpoint(*oldest);
      ++removed;
    }
  }
  return removed;
}

void require_room(const fs::path& directory, const TrainTensors& tensors) {
  util::make_writable_directory(directory);
  if (!has_room(directory, tensors)) {
    throw ResourceError(cat(directory.string(), ": no room for a checkpoint of ", bytes_of(tensors) / 1000, " kB, ",
                            fs::space(directory).available / 1000, " kB are free; make room"));
  }
}

void clean_up(const fs::path& directory, const Retention& retention) {
  remove_leftovers(directory);
  const auto checkpoints = list_checkpoints(directory);
  const auto stays = staying(checkpoints, retention);
  for (const fs::path& checkpoint : checkpoints) {
    if (stays.contains(checkpoint)) {
      util::remove_stale_temporaries(checkpoint);  // of update_state
    } else {
      remove_checkpoint(checkpoint);
    }
  }
}

void save_checkpoint(const fs::path& directory, const TrainState& state, const TrainTensors& tensors,
                     const Retention& retention) {
  const fs::path final_path = directory / folder_name(state.step);
  const fs::path partial = directory / (kPartialPrefix + folder_name(state.step));
  fs::remove_all(partial);
  util::make_writable_directory(partial);
  try {
    json hashes;
    for (const auto& [name, list] : files_of(tensors)) {
      hashes[name] = write_tensors(partial / name, *list);
    }
    write_state(partial, state, hashes);
    util::replace_folder(partial, final_path);  // there is one if the run could not load it; clean_up removes it
    util::sync_directory(directory);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
  try {
    clean_up(directory, retention);
  } catch (const fs::filesystem_error& error) {  // the checkpoint itself is whole
    util::log_warning("checkpoint", cat("old checkpoints stay: ", error.what()));
  }
}

void update_state(const fs::path& directory, const TrainState& state) {
  const fs::path checkpoint = directory / folder_name(state.step);
  write_state(checkpoint, state, read_stored(checkpoint).hashes);
}

void discard_newer(const fs::path& directory, int64_t step) {
  const fs::path last_kept = directory / folder_name(step);
  for (const fs::path& checkpoint : list_checkpoints(directory)) {
    if (checkpoint > last_kept) {
      util::log_warning("checkpoint",
                        cat("leaving ", checkpoint.filename().string(), " behind: continuing from step ", step));
      put_aside(checkpoint);
    }
  }
}

std::vector<fs::path> list_checkpoints(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (is_named_as_checkpoint(entry.path()) && fs::exists(entry.path() / kStateFile)) {
      found.push_back(entry.path());
    }
  }
  std::ranges::sort(found, std::greater<>());  // zero-padded numbers sort by name
  return found;
}

TrainState read_state(const fs::path& checkpoint) { return read_stored(checkpoint).state; }

TrainState load_checkpoint(const fs::path& checkpoint, const TrainTensors& tensors) {
  const StoredState stored = read_stored(checkpoint);
  // All files are checked for damage before the first tensor changes: a caller that goes on without a damaged checkpoint
  // finds its tensors as they were.
  for (const auto& [name, list] : files_of(tensors)) {
    const fs::path path = checkpoint / name;
    if (const auto claimed = stored.hashes.find(name);
        claimed == stored.hashes.end() || util::hash_file(path).hex() != claimed->second) {
      throw DataError(cat(path.string(), ": checksum mismatch"));
    }
  }
  for (const auto& [name, list] : files_of(tensors)) {
    const fs::path path = checkpoint / name;
    const LoadReport report = read_tensors(SafetensorsFile(path), *list);
    if (!report.missing.empty() || !report.unexpected.empty()) {
      throw DataError(cat(path.string(), ": holds other tensors than this model, e.g. ",
                          report.missing.empty() ? report.unexpected[0] : report.missing[0]));
    }
  }
  return stored.state;
}

}  // namespace bertcram::checkpoint
