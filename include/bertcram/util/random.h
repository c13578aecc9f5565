#pragma once
// Counter-based randomness: every draw is a pure function of a key, so order of calls, threads and restarts cannot
// change it. Resume and parallel loading come free. std:: distributions are avoided: libraries disagree on them.

#include <cstdint>
#include <initializer_list>

namespace bertcram::util {

/// Purposes keep streams with the same seed apart. The numbers are part of the reproducibility contract: never reuse.
enum class RandomPurpose : uint64_t {
  kMasking = 1,
  kRowOrder = 2,
  kDocumentOrder = 3,
  kValidSplit = 4,
  kInitialisation = 5,
  kDropout = 6,
  kExampleOrder = 7,
  kDirections = 8,
  kSourceSampling = 9,
  kBootstrap = 10,
};

/// 64-bit finaliser with full avalanche (Steele et al. 2014, SplitMix64).
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Folds several words into one key; the order of the words matters.
constexpr uint64_t mix_key(std::initializer_list<uint64_t> words) {
  uint64_t key = 0;
  for (const uint64_t word : words) {
    key = mix64(key ^ word);
  }
  return key;
}

/// A stream of draws below one key. Copyable; two equal streams give equal draws.
class RandomStream {
 public:
  explicit constexpr RandomStream(uint64_t key) : key_(key) {}
  constexpr RandomStream(uint64_t seed, RandomPurpose purpose, std::initializer_list<uint64_t> words)
      : key_(mix_key({seed, static_cast<uint64_t>(purpose)})) {
    for (const uint64_t word : words) {  // one chain: two keys folded apart and combined could cancel each other
      key_ = mix64(key_ ^ word);
    }
  }

  /// Uniform 64 bits.
  constexpr uint64_t next() { return mix64(key_ + 0xd1b54a32d192ed03ULL * ++counter_); }

  /// Uniform in [0, bound), exactly (Lemire 2019, nearly divisionless). bound must be positive.
  constexpr uint64_t below(uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(next()) * bound;
    auto low = static_cast<uint64_t>(product);
    if (low < bound) {
      const uint64_t threshold = (0 - bound) % bound;
      while (low < threshold) {
        product = static_cast<Wide>(next()) * bound;
        low = static_cast<uint64_t>(product);
      }
    }
    return static_cast<uint64_t>(product >> 64);
  }

  /// Uniform in [0, 1), 53 bits.
  constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace bertcram::util
