#pragma once
// Decoders of the compressed formats that text comes in: gzip, xz and zstd, told by their first bytes.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace bertcram::data {

/// Decodes a file of one or more members (gzip), streams (xz) or frames (zstd), one behind the other.
class Decompressor {
 public:
  struct Step {
    size_t consumed = 0;  ///< bytes taken from the input
    size_t produced = 0;  ///< bytes written to the output
    std::string error;    ///< what is damaged; empty: nothing
  };

  virtual ~Decompressor() = default;
  /// Decodes as much as input and output allow. An empty input gives what is left of an earlier one.
  virtual Step decode(std::span<const char> in, std::span<char> out) = 0;
  /// Whether a file may end here: between two members.
  virtual bool may_end() const = 0;
};

/// Bytes from the beginning of a file by which decompressor_for() can tell.
inline constexpr size_t kCompressionMagicBytes = 6;

/// The decoder of what begins with these bytes; nullptr if that is no compressed format known here.
std::unique_ptr<Decompressor> decompressor_for(std::string_view head);

}  // namespace bertcram::data
