#pragma once
// Standard input as runs of whole lines.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/util/stop.h"

namespace bertcram::cli {

/// Gives what is there without waiting for more, so that a command at the end of a pipe answers at once, and up to
/// `most_bytes` of what comes fast.
class LineChunks {
 public:
  /// @param command  named when it is stopped
  LineChunks(const util::StopFlag& stop, std::string command, size_t most_bytes)
      : stop_(stop), command_(std::move(command)), most_bytes_(most_bytes) {}

  /// The next lines, each with its end but perhaps the last of all; empty at the end of the input.
  /// @throws DataError if it cannot be read, util::StoppedError
  std::string next();

 private:
  bool read_more();

  const util::StopFlag& stop_;
  std::string command_;
  size_t most_bytes_;
  std::string pending_;
  bool is_over_ = false;
};

/// Removes the first line, with its end. @return it without LF or CRLF
std::string_view take_line(std::string_view& lines);

/// All lines of a chunk.
std::vector<std::string_view> lines_of(std::string_view chunk);

/// Lines without their ends, and the number of the first of them, counted from 1.
using UseLines = std::function<void(int64_t first, std::span<const std::string_view> lines)>;

/// Hands all lines of standard input on, as they come, some thousands at a time at most.
void for_each_lines(const util::StopFlag& stop, const std::string& command, size_t chunk_bytes, const UseLines& use);

/// Warns that so many texts were cut; says nothing of none.
void warn_of_cut_texts(const char* command, int64_t count);

}  // namespace bertcram::cli
