#pragma once
// The boundary between bertcram and libbertcram_parquet.so, which alone includes Arrow's headers and links its libraries.
// These take 16 ms to load, longer than most commands take to start: the module is loaded with the first Parquet file.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bertcram::data {

/// A column of texts in a Parquet file, read from its beginning to its end. What goes wrong is a std::exception, whose
/// text does not name the file.
class ParquetColumn {
 public:
  virtual ~ParquetColumn() = default;
  /// Rows of the file, as its footer says.
  virtual int64_t rows() const = 0;
  /// The next values, null as nullopt; empty at the end. Valid until the next call. At most one page is in memory.
  virtual std::span<const std::optional<std::string_view>> next() = 0;
};

inline constexpr const char* kParquetModule = "libbertcram_parquet.so";
/// What the module exports: opens a file; the caller deletes the result.
inline constexpr const char* kOpenParquetColumn = "bertcram_open_parquet_column";
using OpenParquetColumn = ParquetColumn*(const std::string& path, const std::string& column);

}  // namespace bertcram::data
