#pragma once
// Lines and fields of a TSV file with quoting off.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/glue/task.h"
#include "bertcram/util/file.h"

namespace bertcram::glue {

/// Walks the lines of a TSV file. Fields point into the mapped file and live as long as the reader.
class TsvReader {
 public:
  enum class Step { kRow, kEnd };

  /// @throws DataError if the file is missing or unreadable
  explicit TsvReader(std::filesystem::path path);

  /// Goes to the next line. Trailing blank lines do not count. @throws DataError at a NUL byte
  Step next();

  const std::vector<std::string_view>& fields() const { return fields_; }
  int64_t line() const { return line_; }  ///< 1-based, of the current row

  /// Throws DataError "file:line: problem".
  [[noreturn]] void fail(std::string_view problem) const;

 private:
  std::filesystem::path path_;
  util::MappedFile file_;
  std::string_view rest_;
  std::vector<std::string_view> fields_;
  int64_t line_ = 0;
};

/// The position of a column among the fields of a header row (or, for a column by index, that index).
/// @throws DataError if the header has no such column
size_t locate_column(const Column& column, const std::vector<std::string_view>& header, const TsvReader& reader);

}  // namespace bertcram::glue
