#pragma once
// Names and versions inside a packed folder, for those who write it and those who read it.

#include <charconv>
#include <cstdint>
#include <string>

namespace bertcram::data {

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kTokenCountsFile = "token_counts.bin";
inline constexpr const char* kTokenizerFolder = "tokenizer";
inline constexpr const char* kPackedFormat = "bertcram-packed";
inline constexpr int64_t kPackedVersion = 1;

/// The 64 bits of a tokenizer's fingerprint (hexadecimal) that stand in every shard.
inline uint64_t shard_tokenizer_hash(const std::string& fingerprint) {
  uint64_t hash = 0;
  std::from_chars(fingerprint.data(), fingerprint.data() + std::min<size_t>(16, fingerprint.size()), hash, 16);
  return hash;
}

}  // namespace bertcram::data
