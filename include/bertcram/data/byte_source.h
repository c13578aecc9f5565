#pragma once
// Bytes of a text input, plain or compressed with gzip, xz or zstd (told by content, not by name), as a stream.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "bertcram/util/hash.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

/// A stream of uncompressed bytes. Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills `buffer` and returns how many bytes it got; 0 at the end. @throws DataError naming file and offset
  virtual size_t read(std::span<char> buffer) = 0;
  /// Bytes consumed from the file itself (compressed ones), for progress and statistics.
  virtual int64_t file_bytes() const = 0;
  /// Hash of the file's bytes; complete once read() returned 0.
  virtual util::Hash128 file_hash() const = 0;
};

/// Opens a file, or standard input for "-". @throws DataError if it cannot be read
/// @param stop  ends a read that waits, for a pipe say, with StoppedError; nullptr: nothing does
std::unique_ptr<ByteSource> open_byte_source(const std::filesystem::path& path, const util::StopFlag* stop = nullptr);

}  // namespace bertcram::data
