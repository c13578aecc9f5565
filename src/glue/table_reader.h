#pragma once
// Rows and fields of a task's files: TSV with quoting off, CSV (RFC 4180), JSON lines.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/glue/task.h"
#include "bertcram/util/file.h"

namespace bertcram::glue {

/// Walks the rows of a file.
class TableReader {
 public:
  enum class Step { kRow, kEnd };

  /// @throws DataError if the file is missing or unreadable
  explicit TableReader(std::filesystem::path path);
  virtual ~TableReader() = default;
  TableReader(const TableReader&) = delete;
  TableReader& operator=(const TableReader&) = delete;

  /// Goes to the next row. Trailing blank lines do not count.
  /// @throws DataError for bytes that are no text, and what is not of the format
  virtual Step next() = 0;

  /// Of the current row; valid until next() is called again.
  const std::vector<std::string_view>& fields() const { return fields_; }
  int64_t line() const { return line_; }  ///< 1-based, where the current row begins

  /// Throws DataError "file:line: problem".
  [[noreturn]] void fail(std::string_view problem) const;

 protected:
  /// Takes the next line, without its end, from what is left.
  std::string_view take_line();

  std::filesystem::path path_;
  util::MappedFile file_;
  std::string_view rest_;
  std::vector<std::string_view> fields_;
  int64_t line_ = 0;
};

/// What JSON lines have to hold.
struct JsonMembers {
  /// The members that make the fields, in this order; they are the first row, as a header. Strings as they are, numbers and
  /// truth values as JSON writes them. A row without one of them, or with null, is refused.
  std::vector<std::string> wanted = {};
  std::string absent = {};  ///< that no row may have; empty: none
  std::string number = {};  ///< that counts the rows from 0 where a row has it; empty: none
};

/// @param members  of JSON lines; nothing for other formats
std::unique_ptr<TableReader> open_table(const std::filesystem::path& path, TableFormat format, JsonMembers members);

/// Problems of test sets, whose answers are told apart by the rows' numbers.
std::string stray_labels_problem(std::string_view what, std::string_view name);
std::string number_problem(std::string_view name, std::string_view got, int64_t expected);

/// The position of a column among the fields of a header row (or, for a column by index, that index).
/// @throws DataError if the header has no such column, or several
size_t locate_column(const Column& column, const TableReader& reader);

}  // namespace bertcram::glue
