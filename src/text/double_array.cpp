#include "bertcram/text/double_array.h"

#include <algorithm>

#include "bertcram/util/error.h"

namespace bertcram::text {
namespace {

constexpr uint32_t kOpenBlocks = 8;    // how far back a free place is looked for
constexpr size_t kTolerateTaken = 64;  // places taken since the list of free ones was last cleaned
constexpr uint32_t kLeafBase = 0;      // every step from a leaf ends in a block without labels

}  // namespace

DoubleArray::DoubleArray(std::vector<Entry> entries) {
  std::ranges::sort(entries, {}, &Entry::key);
  add_block();  // the block of kLeafBase: nothing but the root is ever placed in it
  add_block();
  std::erase_if(free_places_, [](uint32_t place) { return place < kBlock; });
  nodes_[kRoot].packed = kLabelMask;  // no byte leads here
  build(entries, 0, kRoot);
  base_used_ = {};
  free_places_ = {};
}

DoubleArray::State DoubleArray::walk(State state, std::string_view bytes) const {
  for (const char byte : bytes) {
    if (state == kNone) {
      break;
    }
    state = step(state, static_cast<unsigned char>(byte));
  }
  return state;
}

/// Adds all keys of `entries`, which share their first `depth` bytes, below `state`.
void DoubleArray::build(std::span<const Entry> entries, size_t depth, State state) {
  if (!entries.empty() && entries.front().key.size() == depth) {
    const int32_t value = entries.front().value;
    BC_CHECK(depth > 0 && value >= 0 && value <= kMaxValue, "trie value ", value);
    nodes_[state].packed |= static_cast<uint32_t>(value + 1) << kLabelBits;
    entries = entries.subspan(1);
  }
  std::vector<unsigned char> labels;
  std::vector<size_t> ends;
  for (size_t i = 0; i < entries.size(); ++i) {
    BC_CHECK(entries[i].key.size() > depth, "duplicate trie key");
    const auto label = static_cast<unsigned char>(entries[i].key[depth]);
    if (labels.empty() || labels.back() != label) {
      labels.push_back(label);
      ends.push_back(i);
    }
    ends.back() = i + 1;
  }
  const uint32_t base = labels.empty() ? kLeafBase : find_base(labels);
  nodes_[state].base = base;
  for (const unsigned char label : labels) {
    nodes_[base ^ label].packed = label + 1u;
  }
  for (size_t i = 0, begin = 0; i < labels.size(); begin = ends[i++]) {
    build(entries.subspan(begin, ends[i] - begin), depth + 1, base ^ labels[i]);
  }
}

uint32_t DoubleArray::find_base(std::span<const unsigned char> labels) {
  while (true) {
    for (const uint32_t place : free_places_) {
      const uint32_t base = place ^ labels[0];
      if (nodes_[place].packed == 0 && fits(base, labels)) {
        base_used_[base] = 1;
        taken_places_ += labels.size();
        drop_taken_places();
        return base;
      }
    }
    add_block();
  }
}

void DoubleArray::drop_taken_places() {
  if (taken_places_ > kTolerateTaken) {
    std::erase_if(free_places_, [&](uint32_t place) { return nodes_[place].packed != 0; });
    taken_places_ = 0;
  }
}

/// A base belongs to one state only; that is what lets a label alone identify the parent.
bool DoubleArray::fits(uint32_t base, std::span<const unsigned char> labels) const {
  return base_used_[base] == 0 &&
         std::ranges::all_of(labels, [&](unsigned char label) { return nodes_[base ^ label].packed == 0; });
}

void DoubleArray::add_block() {
  const auto begin = static_cast<uint32_t>(nodes_.size());
  nodes_.resize(begin + kBlock);
  base_used_.resize(nodes_.size());
  const uint32_t open_from = begin > kOpenBlocks * kBlock ? begin - kOpenBlocks * kBlock : 0;
  std::erase_if(free_places_, [&](uint32_t place) { return place < open_from || nodes_[place].packed != 0; });
  for (uint32_t place = begin; place < nodes_.size(); ++place) {
    free_places_.push_back(place);
  }
}

}  // namespace bertcram::text
