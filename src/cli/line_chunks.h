#pragma once
// Standard input as runs of whole lines.

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

/// @throws ResourceError if standard output does not take it
void write_stdout(std::string_view text);

}  // namespace bertcram::cli
