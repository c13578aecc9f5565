#pragma once
// The weights of a model folder: model.safetensors, or the shards that model.safetensors.index.json lists.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bertcram/checkpoint/safetensors.h"

namespace bertcram::checkpoint {

inline constexpr const char* kWeightsFile = "model.safetensors";
inline constexpr const char* kWeightsIndex = "model.safetensors.index.json";

/// @throws DataError, with what converts it, if the folder has a pickle instead of safetensors
void refuse_pickle(const std::filesystem::path& directory);

/// Hash of the weights' bytes: of the file, or of its index and shards. @throws DataError as Weights does
std::string weights_hash(const std::filesystem::path& directory);

/// Mapped files; the tensors are views into them and live as long as the object.
class Weights {
 public:
  /// @throws DataError if a file is missing or damaged, if index and shards do not agree, or if there is only a pickle
  explicit Weights(const std::filesystem::path& directory);

  const std::map<std::string, TensorBytes>& tensors() const { return tensors_; }
  /// For errors: the weights file, or the index.
  const std::filesystem::path& path() const { return path_; }
  /// Of the safetensors files, by name.
  std::vector<std::filesystem::path> files() const;

 private:
  void add_shards();

  std::filesystem::path path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, TensorBytes> tensors_;
};

}  // namespace bertcram::checkpoint
