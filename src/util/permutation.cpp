#include "bertcram/util/permutation.h"

#include <bit>

#include "bertcram/util/error.h"
#include "bertcram/util/random.h"

namespace bertcram::util {

Permutation::Permutation(uint64_t size, uint64_t key) : size_(size), key_(key) {
  BC_CHECK(size >= 1);
  const auto bits = static_cast<unsigned>(std::bit_width(size - 1));
  half_bits_ = bits < 2 ? 1 : (bits + 1) / 2;
}

uint64_t Permutation::feistel(uint64_t value) const {
  constexpr uint64_t kRounds = 4;
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (uint64_t round = 0; round < kRounds; ++round) {
    const uint64_t next = left ^ (mix_key({key_, round, right}) & mask);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

uint64_t Permutation::operator()(uint64_t index) const {
  BC_CHECK(index < size_);
  uint64_t value = feistel(index);
  while (value >= size_) {  // the domain is at most 4 * size: a few steps on average
    value = feistel(value);
  }
  return value;
}

}  // namespace bertcram::util
