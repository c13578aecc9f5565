#include "bertcram/util/hash.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "bertcram/util/file.h"

namespace bertcram::util {

std::string Hash128::hex() const {
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text.data();
}

uint64_t hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Hash128 hash128(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

struct StreamHash::State {
  XXH3_state_t* xxh3 = XXH3_createState();
  State() { XXH3_128bits_reset(xxh3); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { XXH3_freeState(xxh3); }
};

StreamHash::StreamHash() : state_(std::make_unique<State>()) {}
StreamHash::~StreamHash() = default;
StreamHash::StreamHash(StreamHash&&) noexcept = default;
StreamHash& StreamHash::operator=(StreamHash&&) noexcept = default;

void StreamHash::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size());
}

void StreamHash::update(std::string_view bytes, const StopFlag& stop) {
  constexpr size_t kPieceBytes = size_t{4} << 20;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kPieceBytes, bytes.size()))) {
    throw_if_stopped(stop, "stopped while comparing files with what is known of them");
    update(bytes.substr(0, kPieceBytes));
  }
}

Hash128 StreamHash::digest128() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh3);
  return {hash.high64, hash.low64};
}

Hash128 hash_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  return hash128(file.text());
}

}  // namespace bertcram::util
