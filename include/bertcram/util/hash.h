#pragma once
// Content hashes (XXH3, from libxxhash). Not cryptographic: they find damage and duplicates, not attackers.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "bertcram/util/stop.h"

namespace bertcram::util {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Hash128&) const = default;
  std::string hex() const;  ///< 32 lower-case hexadecimal digits
};

uint64_t hash64(std::string_view bytes);
Hash128 hash128(std::string_view bytes);

/// Hash of data that arrives in pieces; equals the one-shot hash of the concatenation.
class StreamHash {
 public:
  StreamHash();
  ~StreamHash();
  StreamHash(StreamHash&&) noexcept;
  StreamHash& operator=(StreamHash&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes) { update(std::as_bytes(std::span(bytes))); }
  /// Of bytes that may take minutes to read, such as those of a mapped file. @throws StoppedError if asked to stop meanwhile
  void update(std::string_view bytes, const StopFlag& stop);
  Hash128 digest128() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 128-bit hash of a file's bytes. @throws DataError if it cannot be read.
Hash128 hash_file(const std::filesystem::path& path);

}  // namespace bertcram::util
