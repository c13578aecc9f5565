#include "bertcram/checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

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
          {"final_evaluation_step", state.final_evaluation_step},
          {"metrics_bytes", state.metrics_bytes},
          {"xxh3_128", hashes}};
}

void write_state(const fs::path& checkpoint, const TrainState& state, const json& hashes) {
  json body = to_json(state, hashes);
  body["self_xxh3_128"] = util::hash128(util::json_text(body)).hex();
  util::write_file_atomically(checkpoint / kStateFile, util::json_text(body, 1) + "\n");
}

json read_state_json(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kStateFile;
  try {
    const json stored = json::parse(util::read_file(path));
    if (stored.at("format") != "bertcram-checkpoint" || stored.at("version") != kVersion) {
      throw DataError(cat(path.string(), ": not a checkpoint of version ", kVersion));
    }
    const auto claimed = stored.at("self_xxh3_128").get<std::string>();
    json body = stored;
    body.erase("self_xxh3_128");
    if (util::hash128(util::json_text(body)).hex() != claimed) {
      throw DataError(cat(path.string(), ": checksum mismatch"));
    }
    return stored;
  } catch (const json::exception& error) {
    throw DataError(cat(path.string(), ": damaged (", util::json_error_text(error.what()), ")"));
  }
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
  state.final_evaluation_step = stored.value("final_evaluation_step", int64_t{-1});
  state.metrics_bytes = stored.value("metrics_bytes", int64_t{0});
  return state;
}

}  // namespace

void clean_up(const fs::path& directory, int64_t keep) {
  const auto checkpoints = list_checkpoints(directory);
  for (size_t i = 0; i < checkpoints.size(); ++i) {
    if (i < static_cast<size_t>(keep)) {
      util::remove_stale_temporaries(checkpoints[i]);  // of update_state
      continue;
    }
    // Renamed first: a checkpoint that is half removed must not look complete.
    const fs::path doomed = directory / (kPartialPrefix + checkpoints[i].filename().string());
    fs::rename(checkpoints[i], doomed);
  }
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(directory, missing)) {
    if (entry.path().filename().string().starts_with(kPartialPrefix)) {
      fs::remove_all(entry.path());
    }
  }
}

void save_checkpoint(const fs::path& directory, const TrainState& state, const TrainTensors& tensors, int64_t keep) {
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
    if (fs::exists(final_path)) {
      // A run passes the same step again only if it could not load this one: put it aside, clean_up removes it.
      fs::rename(final_path, directory / (kPartialPrefix + std::string("replaced-") + folder_name(state.step)));
    }
    fs::rename(partial, final_path);
    util::sync_directory(directory);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
  clean_up(directory, keep);
}

void update_state(const fs::path& directory, const TrainState& state) {
  const fs::path checkpoint = directory / folder_name(state.step);
  write_state(checkpoint, state, read_state_json(checkpoint).at("xxh3_128"));
}

void discard_newer(const fs::path& directory, int64_t step) {
  const fs::path last_kept = directory / folder_name(step);
  for (const fs::path& checkpoint : list_checkpoints(directory)) {
    if (checkpoint > last_kept) {
      util::log_warning("checkpoint",
                        cat("leaving ", checkpoint.filename().string(), " behind: continuing from step ", step));
      fs::rename(checkpoint, directory / (kPartialPrefix + checkpoint.filename().string()));
    }
  }
}

std::vector<fs::path> list_checkpoints(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().filename().string().starts_with(kPrefix) && fs::exists(entry.path() / kStateFile)) {
      found.push_back(entry.path());
    }
  }
  std::ranges::sort(found, std::greater<>());  // zero-padded numbers sort by name
  return found;
}

TrainState read_state(const fs::path& checkpoint) { return state_of(read_state_json(checkpoint)); }

TrainState load_checkpoint(const fs::path& checkpoint, const TrainTensors& tensors) {
  const json stored = read_state_json(checkpoint);
  // All files are checked before the first tensor changes: a caller that goes on without a damaged checkpoint finds
  // its tensors as they were.
  for (const auto& [name, list] : files_of(tensors)) {
    const fs::path path = checkpoint / name;
    if (util::hash_file(path).hex() != stored.at("xxh3_128").at(name)) {
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
  return state_of(stored);
}

}  // namespace bertcram::checkpoint
