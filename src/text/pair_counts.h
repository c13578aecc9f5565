#pragma once
// How often each pair of adjacent pieces occurs and in which words; yields the most frequent one.

#include <cstdint>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "bertcram/util/random.h"

namespace bertcram::text {

struct PiecePair {
  int32_t left;
  int32_t right;

  auto operator<=>(const PiecePair&) const = default;
};

class PairCounts {
 public:
  PairCounts() : slots_(size_t{1} << 16) {}

  /// The pair occurs `count` more times, in word `word`.
  void add(PiecePair pair, uint64_t count, uint32_t word) {
    Entry& entry = entries_[find_or_insert(pair)];
    entry.count += count;
    if (entry.words.empty() || entry.words.back() != word) {
      entry.words.push_back(word);
    }
    if (!entry.touched) {
      entry.touched = true;
      touched_.push_back(static_cast<uint32_t>(&entry - entries_.data()));
    }
  }

  void subtract(PiecePair pair, uint64_t count) { entries_[find_or_insert(pair)].count -= count; }

  /// Must follow a round of `add`: makes the new counts visible to `take_most_frequent`.
  void commit() {
    for (const uint32_t index : touched_) {
      entries_[index].touched = false;
      queue_.push({entries_[index].count, entries_[index].pair, index});
    }
    touched_.clear();
  }

  struct Top {
    PiecePair pair;
    uint64_t count;
    std::vector<uint32_t> words;  ///< each word that holds the pair, perhaps repeatedly, and words that did once
  };

  /// Takes out the pair with the highest count, of those the lowest pair; nullopt if none is left.
  std::optional<Top> take_most_frequent() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      Entry& entry = entries_[top.index];
      if (entry.count == top.count && top.count > 0) {
        return Top{entry.pair, entry.count, std::exchange(entry.words, {})};
      }
      if (entry.count > 0 && entry.count < top.count) {
        queue_.push({entry.count, entry.pair, top.index});
      }
    }
    return std::nullopt;
  }

 private:
  struct Entry {
    PiecePair pair;
    uint64_t count = 0;
    std::vector<uint32_t> words;
    bool touched = false;
  };
  struct Candidate {
    uint64_t count;  // as it was when queued; higher counts are queued again, lower ones when they surface
    PiecePair pair;
    uint32_t index;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : other.pair < pair;
    }
  };

  uint32_t find_or_insert(PiecePair pair) {
    const size_t mask = slots_.size() - 1;
    size_t i = hash(pair) & mask;
    for (; slots_[i] != 0; i = (i + 1) & mask) {
      if (entries_[slots_[i] - 1].pair == pair) {
        return slots_[i] - 1;
      }
    }
    entries_.push_back({pair, 0, {}, false});
    slots_[i] = static_cast<uint32_t>(entries_.size());
    if (entries_.size() * 2 > slots_.size()) {
      grow();
    }
    return static_cast<uint32_t>(entries_.size() - 1);
  }

  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    const size_t mask = slots_.size() - 1;
    for (size_t index = 0; index < entries_.size(); ++index) {
      size_t i = hash(entries_[index].pair) & mask;
      while (slots_[i] != 0) {
        i = (i + 1) & mask;
      }
      slots_[i] = static_cast<uint32_t>(index + 1);
    }
  }

  static uint64_t hash(PiecePair pair) {
    return util::mix64(static_cast<uint64_t>(pair.left) << 32 | static_cast<uint32_t>(pair.right));
  }

  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // open addressing: index into entries_ + 1, 0 is free
  std::vector<uint32_t> touched_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace bertcram::text
