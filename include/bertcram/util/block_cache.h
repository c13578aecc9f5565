#pragma once
// Large blocks of memory that are kept when they are freed and handed out again. A training step asks for the same sizes over
// and over; from the system each comes as pages that have to be mapped and cleared again.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <unordered_map>

namespace bertcram::util {

/// Thread-safe. What is in use and what is kept together stay within 9/8 of the most that was ever in use at once, so that it
/// cannot grow without end; the blocks that nobody asked for longest go back to the system first.
class BlockCache {
 public:
  struct Bytes {
    size_t used = 0;       ///< in the blocks handed out, which may be a quarter larger than rounded() of what was asked
    size_t idle = 0;       ///< kept for the next who asks
    size_t most_used = 0;  ///< so far, or since the last give_back()
  };

  BlockCache() = default;
  ~BlockCache();  ///< blocks in use stay valid and are never freed
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  /// @param bytes  > 0
  /// @return at least so many bytes of arbitrary content, aligned to a page; nullptr if the system has none, even after all idle
  /// blocks went back to it
  void* allocate(size_t bytes) noexcept;
  /// @return false, with nothing done, if the block is not one that allocate() gave and that is still in use
  bool release(void* block) noexcept;
  /// From now on nothing is kept unless that and what is in use fit so many bytes together.
  void keep_below(size_t bytes) noexcept;
  /// Gives all idle blocks back to the system and forgets how much was once in use.
  void give_back() noexcept;
  Bytes bytes() const;

  /// What a block of so many bytes takes: whole pages and at most an eighth more, so that nearly equal sizes share blocks.
  static size_t rounded(size_t bytes);

 private:
  struct Block {
    void* data = nullptr;
    size_t size = 0;
  };
  struct Idle {
    void* data = nullptr;
    uint64_t since = 0;  ///< number of the release
  };

  Block take_idle(size_t size) noexcept;
  Block take_new(size_t size) noexcept;
  void keep_within(size_t total) noexcept;

  mutable std::mutex mutex_;
  std::unordered_map<void*, size_t> in_use_;  ///< with their sizes
  std::multimap<size_t, Idle> idle_;          ///< by size, equal ones in the order of their release
  Bytes bytes_;
  size_t most_kept_ = std::numeric_limits<size_t>::max();
  uint64_t releases_ = 0;
};

}  // namespace bertcram::util
