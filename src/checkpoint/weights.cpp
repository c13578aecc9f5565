#include "bertcram/checkpoint/weights.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Tensor name → shard, as the index has it.
std::map<std::string, std::string> read_index(const fs::path& index) {
  std::map<std::string, std::string> shards;
  try {
    shards = util::parse_json(util::read_file(index)).at("weight_map").get<std::map<std::string, std::string>>();
  } catch (const json::exception& error) {
    throw DataError(cat(index.string(), ": not an index of safetensors (", util::json_error_text(error.what()), ")"));
  }
  for (const auto& [tensor, shard] : shards) {
    if (shard.empty() || fs::path(shard).filename() != shard || shard == "." || shard == "..") {
      throw DataError(
          cat(index.string(), ": tensor '", tensor, "' is in '", shard, "', expected the name of a file beside it"));
    }
  }
  return shards;
}

}  // namespace

void refuse_pickle(const fs::path& directory) {
  const auto exists = [&](const char* name) { return fs::exists(directory / name); };
  if (!exists(kWeightsFile) && !exists(kWeightsIndex) &&
      (exists("pytorch_model.bin") || exists("pytorch_model.bin.index.json"))) {
    throw DataError(cat(directory.string(),
                        ": pytorch_model.bin is a pickle, which bertcram never reads; convert it "
                        "with model.save_pretrained(DIR, safe_serialization=True)"));
  }
}

std::string weights_hash(const fs::path& directory) {
  const Weights weights(directory);
  const auto files = weights.files();
  if (files.front() == weights.path()) {
    return util::hash_file(files.front()).hex();
  }
  std::string all = util::hash_file(weights.path()).hex();
  for (const fs::path& file : files) {
    all += util::hash_file(file).hex();
  }
  return util::hash128(all).hex();
}

std::vector<fs::path> Weights::files() const {
  std::vector<fs::path> paths;
  std::ranges::transform(files_, std::back_inserter(paths), [](const auto& file) { return file->path(); });
  std::ranges::sort(paths);
  return paths;
}

Weights::Weights(const fs::path& directory) : path_(directory / kWeightsFile) {
  if (fs::exists(path_)) {
    files_.push_back(std::make_unique<SafetensorsFile>(path_));
    tensors_ = files_.back()->tensors();
  } else if (fs::exists(directory / kWeightsIndex)) {
    path_ = directory / kWeightsIndex;
    add_shards();
  } else {
    refuse_pickle(directory);
    throw DataError(cat(directory.string(), ": no weights here (", kWeightsFile, " is missing)"));
  }
}

void Weights::add_shards() {
  const auto shard_of = read_index(path_);
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [tensor, shard] : shard_of) {
    const fs::path file = path_.parent_path() / shard;
    if (!opened.contains(shard)) {
      if (!fs::exists(file)) {
        throw DataError(cat(path_.string(), ": the shard ", shard, " is missing"));
      }
      files_.push_back(std::make_unique<SafetensorsFile>(file));
      opened[shard] = files_.back().get();
    }
    const auto found = opened[shard]->tensors().find(tensor);
    if (found == opened[shard]->tensors().end()) {
      throw DataError(cat(path_.string(), ": tensor '", tensor, "' is not in ", shard));
    }
    tensors_.insert(*found);
  }
  for (const auto& [shard, file] : opened) {
    for (const auto& [tensor, bytes] : file->tensors()) {
      const auto listed = shard_of.find(tensor);
      if (listed == shard_of.end() || listed->second != shard) {
        throw DataError(cat(path_.string(), ": ", shard, " holds the tensor '", tensor, "', of which the index says ",
                            listed == shard_of.end() ? "nothing" : "that it is in " + listed->second));
      }
    }
  }
}

}  // namespace bertcram::checkpoint
