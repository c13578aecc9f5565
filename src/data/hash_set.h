#pragma once
// A set of hashes in one flat array: 8 bytes per place, at most two thirds of the places taken.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bertcram::data {

/// Keys are hashes already: their low bits choose the place. Grows by doubling.
class HashSet {
 public:
  /// @param expected  keys for which no growth is needed
  explicit HashSet(size_t expected = 0) : places_(std::max(kFirstPlaces, std::bit_ceil(2 * expected)), kFree) {}

  /// @return whether the key is new
  bool insert(uint64_t key) {
    if (3 * (size_ + 1) > 2 * places_.size()) {
      grow();
    }
    uint64_t& place = places_[place_of(stored(key))];
    const bool is_new = place == kFree;
    place = stored(key);
    size_ += is_new ? 1 : 0;
    return is_new;
  }

  bool contains(uint64_t key) const { return places_[place_of(stored(key))] != kFree; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kFirstPlaces = 64;
  static constexpr uint64_t kFree = 0;
  static uint64_t stored(uint64_t key) { return key == kFree ? 1 : key; }

  /// Where the key is, or would be put.
  size_t place_of(uint64_t key) const {
    size_t i = key & (places_.size() - 1);
    while (places_[i] != kFree && places_[i] != key) {
      i = (i + 1) & (places_.size() - 1);
    }
    return i;
  }

  void grow() {
    std::vector<uint64_t> old(2 * places_.size(), kFree);
    old.swap(places_);
    for (const uint64_t key : old) {
      if (key != kFree) {
        places_[place_of(key)] = key;
      }
    }
  }

  std::vector<uint64_t> places_;
  size_t size_ = 0;
};

}  // namespace bertcram::data
