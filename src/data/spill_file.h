#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"

namespace bertcram::data {

/// The part of a file that an earlier session wrote and this one goes on from; the rest is cut off.
struct KeptSpill {
  int64_t bytes = 0;
  util::StreamHash hash;  ///< of these bytes
};

/// A file that one command writes from its beginning to its end and reads once: what does not fit into memory between two
/// passes. append() is thread-safe and keeps each record whole.
class SpillFile {
 public:
  /// @throws ResourceError
  SpillFile(std::filesystem::path path, size_t buffer_bytes, KeptSpill kept = {});
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  /// `write(buffer)` adds the bytes of one record to the end of a buffer. @throws ResourceError
  template <class Write>
  void append(const Write& write) {
    const std::lock_guard lock(mutex_);
    write(buffer_);
    if (buffer_.size() >= buffer_bytes_) {
      write_buffer();
    }
  }
  /// Everything that was appended. @throws ResourceError
  util::MappedFile read();
  /// Hands everything that was appended to the system. @throws ResourceError
  void flush();
  /// Of the file, once flushed.
  int64_t size_bytes() const { return size_bytes_; }
  std::string hash() const { return hash_.digest128().hex(); }

 private:
  void write_buffer();

  std::filesystem::path path_;
  size_t buffer_bytes_;
  int descriptor_ = -1;
  std::mutex mutex_;
  std::vector<std::byte> buffer_;
  int64_t size_bytes_;
  util::StreamHash hash_;
};

/// Adds the bytes of plain values to a buffer.
template <class Value>
void append_bytes(std::vector<std::byte>& buffer, std::span<const Value> values) {
  const auto bytes = std::as_bytes(values);
  buffer.insert(buffer.end(), bytes.begin(), bytes.end());
}

}  // namespace bertcram::data
