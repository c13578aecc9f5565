#pragma once
// A hash table of words and how often each occurs, made for many millions of them.

#include <cstdint>
#include <string_view>
#include <vector>

namespace bertcram::text {

/// Open addressing over slots of 16 bytes; the words stand one behind the other in a buffer. A word takes 24 to 48 bytes
/// and its own. Not thread-safe.
class WordTable {
 public:
  WordTable();

  /// Counts `word` so many times more. @return whether it is new
  /// REQUIRES: hash = util::hash64(word), count >= 1; fewer than 2^16 bytes in a word and 2^32 in all words, both checked
  bool add(std::string_view word, uint64_t hash, uint64_t count);

  /// Calls take(word, count) for each word, in an order that depends on the order in which they came.
  template <class Take>
  void for_each(Take take) const {
    for (const Slot& slot : slots_) {
      if (slot.count > 0) {
        take(word_of(slot), slot.count);
      }
    }
  }

  /// Drops the rarest words, so that at most `kept` are left; of equals all go.
  /// REQUIRES: 0 <= kept < size(); checked. @return the highest count among those dropped
  uint64_t prune(int64_t kept);
  /// Forgets all words and keeps the memory.
  void clear();

  int64_t size() const { return used_slots_; }

 private:
  struct Slot {
    uint64_t count = 0;  ///< 0: free
    uint32_t offset = 0;
    uint16_t size_bytes = 0;
    uint16_t tag = 0;  ///< part of the hash: tells most other words without a look at their bytes
  };

  std::string_view word_of(const Slot& slot) const { return {bytes_.data() + slot.offset, slot.size_bytes}; }
  Slot& find(std::string_view word, uint64_t hash);
  void grow();

  std::vector<Slot> slots_;  ///< a power of two, at most two thirds in use
  std::vector<char> bytes_;  ///< the words themselves
  int64_t used_slots_ = 0;
};

}  // namespace bertcram::text
