#include "bertcram/text/word_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"

namespace bertcram::text {
namespace {

constexpr size_t kFirstSlots = 64;

/// Bits that neither the place in a table nor the choice of a table (the highest bits) uses.
uint16_t tag_of(uint64_t hash) { return static_cast<uint16_t>(hash >> 40); }

}  // namespace

WordTable::WordTable() : slots_(kFirstSlots) {}

WordTable::Slot& WordTable::find(std::string_view word, uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.count == 0 || (slot.tag == tag_of(hash) && word_of(slot) == word)) {
      return slot;
    }
  }
}

bool WordTable::add(std::string_view word, uint64_t hash, uint64_t count) {
  Slot& slot = find(word, hash);
  if (slot.count > 0) {
    slot.count += count;
    return false;
  }
  BC_CHECK(word.size() <= std::numeric_limits<uint16_t>::max(), word.size(), " bytes in a word");
  BC_CHECK(bytes_.size() <= std::numeric_limits<uint32_t>::max(), bytes_.size(), " bytes in all words");
  slot = {count, static_cast<uint32_t>(bytes_.size()), static_cast<uint16_t>(word.size()), tag_of(hash)};
  bytes_.insert(bytes_.end(), word.begin(), word.end());
  ++used_slots_;
  if (static_cast<size_t>(used_slots_) * 3 > slots_.size() * 2) {
    grow();
  }
  return true;
}

void WordTable::grow() {
  const std::vector<Slot> old_slots = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  for (const Slot& slot : old_slots) {
    if (slot.count > 0) {
      const std::string_view word = word_of(slot);
      find(word, util::hash64(word)) = slot;
    }
  }
}

uint64_t WordTable::prune(int64_t kept) {
  BC_CHECK(0 <= kept && kept < size(), kept, " of ", size(), " words");
  std::vector<uint64_t> counts;
  counts.reserve(static_cast<size_t>(size()));
  for_each([&](std::string_view, uint64_t count) { counts.push_back(count); });
  const auto last_dropped = counts.end() - static_cast<std::ptrdiff_t>(kept) - 1;
  std::ranges::nth_element(counts, last_dropped);
  WordTable rest;
  rest.slots_.resize(
      slots_.size());  // filled in the order of these: in a smaller table they would crowd at its beginning
  for_each([&](std::string_view word, uint64_t count) {
    if (count > *last_dropped) {
      rest.add(word, util::hash64(word), count);
    }
  });
  *this = std::move(rest);
  return *last_dropped;
}

void WordTable::clear() {
  std::ranges::fill(slots_, Slot{});
  bytes_.clear();
  used_slots_ = 0;
}

}  // namespace bertcram::text
