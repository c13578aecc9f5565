#pragma once
// Small Parquet files for the tests of the reader.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace bertcram::test {

enum class Compression { kNone, kSnappy, kZstd };
enum class ColumnKind { kText, kBytes, kDecimal, kNumber, kRepeatedText };

struct ParquetFile {
  std::vector<std::optional<std::string>> texts = {};
  std::string column = "text";  ///< between two other columns, `id` and `url`
  ColumnKind kind = ColumnKind::kText;
  bool may_be_null = true;
  int64_t rows_per_group = 1000;
  int64_t page_bytes = 1 << 20;
  Compression compression = Compression::kSnappy;
  bool has_dictionary = true;
  bool has_checksums = true;
  int data_page_version = 1;
};

/// Writes the file. @return its path
std::filesystem::path write_parquet(const std::filesystem::path& path, const ParquetFile& file);

}  // namespace bertcram::test
