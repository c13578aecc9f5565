#pragma once
// Named LibTorch tensors ↔ safetensors files.

#include <filesystem>
#include <string>
#include <vector>

#include "bertcram/checkpoint/safetensors.h"
#include "bertcram/nn/parameters.h"

namespace bertcram::checkpoint {

/// Writes the tensors (any device; stored as fp32, their own dtype must be fp32) and returns the file's hash.
std::string write_tensors(const std::filesystem::path& path, const std::vector<nn::NamedTensor>& tensors);

/// What did not fit when loading.
struct LoadReport {
  std::vector<std::string> missing;     ///< wanted, not in the file; left as they were
  std::vector<std::string> unexpected;  ///< in the file, not wanted
};

/// Copies tensors of the file into `targets` by name, converting to fp32.
/// @throws DataError on a shape mismatch (names the tensor, expected, got)
LoadReport read_tensors(const SafetensorsFile& file, const std::vector<nn::NamedTensor>& targets);

}  // namespace bertcram::checkpoint
