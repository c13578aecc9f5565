#include "bertcram/text/word_counter.h"

#include <algorithm>
#include <utility>

#include "bertcram/text/unicode.h"
#include "bertcram/text/wordpiece.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"

namespace bertcram::text {
namespace {

constexpr size_t kFirstSlots = 1u << 12;

}  // namespace

WordCounter::WordCounter(const Normalizer& normalizer, WordCounterOptions options)
    : scanner_(normalizer), options_(options), slots_(kFirstSlots) {
  BC_CHECK(options_.max_words >= 1, "max_words ", options_.max_words);
}

void WordCounter::add(std::string_view text) {
  scanner_.reset(text);
  for (std::string_view word = scanner_.next(); !word.empty(); word = scanner_.next()) {
    if (static_cast<int64_t>(word.size()) <= kMaxCharsPerWord || count_chars(word) <= kMaxCharsPerWord) {
      add_word(word, 1);
      ++total_words_;
    }
  }
}

void WordCounter::merge(const WordCounter& other) {
  for (const Slot& slot : other.slots_) {
    if (slot.count > 0) {
      add_word(other.word_of(slot), slot.count);
    }
  }
  total_words_ += other.total_words_;
  pruned_frequency_ = std::max(pruned_frequency_, other.pruned_frequency_);
}

void WordCounter::add_word(std::string_view word, uint64_t count) {
  const uint64_t hash = util::hash64(word);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.count == 0) {
      slot = {count, bytes_.size(), static_cast<uint32_t>(word.size()), static_cast<uint32_t>(hash >> 32)};
      bytes_.insert(bytes_.end(), word.begin(), word.end());
      break;
    }
    if (slot.hash == static_cast<uint32_t>(hash >> 32) && word_of(slot) == word) {
      slot.count += count;
      return;
    }
  }
  ++used_slots_;
  if (used_slots_ > options_.max_words) {
    prune();
  } else if (static_cast<size_t>(used_slots_) * 2 > slots_.size()) {
    rebuild(slots_.size() * 2, 0);
  }
}

/// Drops the rarest words until at most three quarters of the limit are left.
void WordCounter::prune() {
  std::vector<uint64_t> frequencies;
  for (const Slot& slot : slots_) {
    if (slot.count > 0) {
      frequencies.push_back(slot.count);
    }
  }
  const auto kept = static_cast<std::ptrdiff_t>(options_.max_words - options_.max_words / 4);
  const auto last_dropped = frequencies.end() - kept - 1;
  std::ranges::nth_element(frequencies, last_dropped);
  pruned_frequency_ = std::max(pruned_frequency_, *last_dropped);
  rebuild(slots_.size(), *last_dropped);
}

void WordCounter::rebuild(size_t new_slots, uint64_t drop_up_to) {
  const std::vector<Slot> old_slots = std::exchange(slots_, std::vector<Slot>(new_slots));
  const std::vector<char> old_bytes = std::exchange(bytes_, {});
  used_slots_ = 0;
  bytes_.reserve(old_bytes.size());
  for (const Slot& slot : old_slots) {
    if (slot.count > drop_up_to) {
      add_word({old_bytes.data() + slot.offset, slot.size_bytes}, slot.count);
    }
  }
}

WordCounts WordCounter::counts() const {
  WordCounts counts;
  counts.total_words = total_words_;
  counts.pruned_frequency = pruned_frequency_;
  counts.words.reserve(static_cast<size_t>(used_slots_));
  for (const Slot& slot : slots_) {
    if (slot.count > 0) {
      counts.words.push_back({std::string(word_of(slot)), slot.count});
    }
  }
  std::ranges::sort(counts.words, {}, &WordCount::word);
  return counts;
}

}  // namespace bertcram::text
