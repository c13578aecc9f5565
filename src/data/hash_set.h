#pragma once
// A set of hashes in one flat array: 8 bytes per place, at most two thirds of the places taken.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bertcram::data {

/// Keys are hashes already: their low bits choose the place. Grows by doubling.
class HashSet {
 public:
  HashSet() : places_(kFirstPlaces, kFree) {}

  /// @return whether the key is new
  bool insert(uint64_t key) {
    if (3 * (size_ + 1) > 2 * places_.size()) {
      grow();
    }
    uint64_t& place = place_of(stored(key));
    if (place != kFree) {
      return false;
    }
    place = stored(key);
    ++size_;
    return true;
  }

  bool contains(uint64_t key) const {
    const uint64_t wanted = stored(key);
    for (size_t i = wanted & (places_.size() - 1);; i = (i + 1) & (places_.size() - 1)) {
      if (places_[i] == wanted) {
        return true;
      }
      if (places_[i] == kFree) {
        return false;
      }
    }
  }

  size_t size() const { return size_; }
  void clear() {
    places_.assign(kFirstPlaces, kFree);
    size_ = 0;
  }

 private:
  static constexpr size_t kFirstPlaces = 64;
  static constexpr uint64_t kFree = 0;
  static uint64_t stored(uint64_t key) { return key == kFree ? 1 : key; }

  uint64_t& place_of(uint64_t key) {
    size_t i = key & (places_.size() - 1);
    while (places_[i] != kFree && places_[i] != key) {
      i = (i + 1) & (places_.size() - 1);
    }
    return places_[i];
  }

  void grow() {
    std::vector<uint64_t> old(2 * places_.size(), kFree);
    old.swap(places_);
    for (const uint64_t key : old) {
      if (key != kFree) {
        place_of(key) = key;
      }
    }
  }

  std::vector<uint64_t> places_;
  size_t size_ = 0;
};

}  // namespace bertcram::data
