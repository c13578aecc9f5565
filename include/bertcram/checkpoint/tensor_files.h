#pragma once
// Named LibTorch tensors ↔ safetensors files.

#include <filesystem>
#include <map>
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

/// Copies stored tensors into `targets` by name, converting to fp32.
/// @param where  the file, for errors
/// @throws DataError on a shape mismatch or a tensor of integers (names the tensor, expected, got)
LoadReport read_tensors(const std::map<std::string, TensorBytes>& stored, const std::string& where,
                        const std::vector<nn::NamedTensor>& targets);
LoadReport read_tensors(const SafetensorsFile& file, const std::vector<nn::NamedTensor>& targets);

}  // namespace bertcram::checkpoint
