#pragma once
// A byte trie in two words per node: one load per byte decides whether a transition exists (Aoe 1989; XOR addressing
// with unique bases as in darts-clone).

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace bertcram::text {

/// Immutable after construction, thread-safe.
class DoubleArray {
 public:
  using State = uint32_t;
  static constexpr State kRoot = 0;
  static constexpr State kNone = ~State{0};
  static constexpr int32_t kMaxValue = (1 << 23) - 2;

  struct Entry {
    std::string_view key;  ///< not empty
    int32_t value;         ///< 0..kMaxValue
  };

  /// @param entries distinct keys in any order
  explicit DoubleArray(std::vector<Entry> entries);

  /// The state after `byte`, or kNone.
  State step(State state, unsigned char byte) const {
    const State next = nodes_[state].base ^ byte;
    return (nodes_[next].packed & kLabelMask) == byte + 1u ? next : kNone;
  }
  State walk(State state, std::string_view bytes) const;

  /// The value of the key that ends in `state`, or -1.
  int32_t value(State state) const { return static_cast<int32_t>(nodes_[state].packed >> kLabelBits) - 1; }

 private:
  static constexpr uint32_t kLabelBits = 9;
  static constexpr uint32_t kLabelMask = (1u << kLabelBits) - 1;
  static constexpr uint32_t kBlock = 256;

  struct Node {
    uint32_t base = 0;
    uint32_t packed = 0;  ///< (value + 1) << 9 | (label + 1); label part 0: unused
  };

  void build(std::span<const Entry> entries, size_t depth, State state);
  uint32_t find_base(std::span<const unsigned char> labels);
  bool fits(uint32_t base, std::span<const unsigned char> labels) const;
  void drop_taken_places();
  void add_block();

  std::vector<Node> nodes_;

  // Only while building:
  std::vector<char> base_used_;
  std::vector<uint32_t> free_places_;  ///< of the last few blocks; some may have been taken since
  size_t taken_places_ = 0;
};

}  // namespace bertcram::text
