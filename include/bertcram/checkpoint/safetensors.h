#pragma once
// The safetensors format: u64 header length, JSON header, tensors without holes (docs/formats.md). Knows bytes and
// shapes, not LibTorch.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/util/file.h"

namespace bertcram::checkpoint {

/// All number formats that models hold. The first three are weights; the others are known so that a file is not refused
/// for a buffer that nobody asks for.
enum class DType { kF32, kF16, kBF16, kF64, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool, kF8E4M3, kF8E5M2 };

std::string_view dtype_name(DType dtype);  ///< "F32", "BF16", …

/// A tensor in memory that somebody else owns: row-major, contiguous.
struct TensorBytes {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Writes the file atomically. Tensors stand in the order of their names, the data begins 64-byte aligned, the
/// metadata is {"format": "pt"}: equal input gives equal bytes.
/// @returns the hash of the file's bytes. @throws ResourceError
std::string write_safetensors(const std::filesystem::path& path, const std::map<std::string, TensorBytes>& tensors);

/// A mapped file; the tensors are views into it and live as long as the object.
class SafetensorsFile {
 public:
  /// Validates everything before anything is used: header length, JSON, dtypes, shape × dtype = length, offsets in
  /// range, no overlap, no holes. @throws DataError naming the file and the tensor
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::map<std::string, TensorBytes>& tensors() const { return tensors_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  util::MappedFile file_;
  std::map<std::string, TensorBytes> tensors_;
};

}  // namespace bertcram::checkpoint
