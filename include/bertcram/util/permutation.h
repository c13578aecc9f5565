#pragma once
// A pseudo-random permutation of [0, size) that is evaluated, not stored: the order of a corpus of any size costs no
// memory and any position of it is known in O(1), which is what makes resume immediate.

#include <cstdint>

namespace bertcram::util {

/// A bijection of [0, size), keyed. Four Feistel rounds on the next even number of bits, with cycle walking
/// (Black & Rogaway 2002). Immutable, thread-safe.
class Permutation {
 public:
  /// @param size number of elements, >= 1
  Permutation(uint64_t size, uint64_t key);

  uint64_t size() const { return size_; }

  /// The element at `index`; index must be below size().
  uint64_t operator()(uint64_t index) const;

 private:
  uint64_t feistel(uint64_t value) const;

  uint64_t size_;
  uint64_t key_;
  unsigned half_bits_ = 1;
};

}  // namespace bertcram::util
