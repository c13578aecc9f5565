#include "bertcram/util/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <new>

namespace bertcram::util {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSizesPerDoubling = 8;
constexpr size_t kExtraShare = 8;  ///< used and idle blocks may exceed the most that was in use by one part in so many
constexpr size_t kSpareShare = 4;  ///< a block may be larger than asked by one part in so many

void* from_system(size_t size) noexcept {
  void* const block = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block == MAP_FAILED ? nullptr : block;
}

}  // namespace

size_t BlockCache::rounded(size_t bytes) {
  const size_t step = std::max(kPage, std::bit_floor(bytes) / kSizesPerDoubling);
  return (bytes + step - 1) / step * step;
}

BlockCache::~BlockCache() { give_back(); }

void* BlockCache::allocate(size_t bytes) noexcept {
  const std::scoped_lock lock(mutex_);
  Block block = take_idle(rounded(bytes));
  if (block.data == nullptr) {
    block = take_new(rounded(bytes));
  }
  if (block.data == nullptr) {
    return nullptr;
  }
  try {
    in_use_.emplace(block.data, block.size);
  } catch (const std::bad_alloc&) {
    ::munmap(block.data, block.size);
    return nullptr;
  }
  bytes_.used += block.size;
  bytes_.most_used = std::max(bytes_.most_used, bytes_.used);
  return block.data;
}

bool BlockCache::release(void* block) noexcept {
  if (reinterpret_cast<uintptr_t>(block) % kPage != 0) {
    return false;  // hardly any small block of others costs the lock
  }
  const std::scoped_lock lock(mutex_);
  const auto found = in_use_.find(block);
  if (found == in_use_.end()) {
    return false;
  }
  const size_t size = found->second;
  in_use_.erase(found);
  bytes_.used -= size;
  try {
    idle_.emplace(size, Idle{.data = block, .since = ++releases_});
    bytes_.idle += size;
  } catch (const std::bad_alloc&) {
    ::munmap(block, size);
  }
  keep_within(most_kept_);
  return true;
}

void BlockCache::keep_below(size_t bytes) noexcept {
  const std::scoped_lock lock(mutex_);
  most_kept_ = bytes;
  keep_within(most_kept_);
}

void BlockCache::give_back() noexcept {
  const std::scoped_lock lock(mutex_);
  keep_within(bytes_.used);
  bytes_.most_used = bytes_.used;
}

BlockCache::Bytes BlockCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

BlockCache::Block BlockCache::take_idle(size_t size) noexcept {
  const auto smallest = idle_.lower_bound(size);
  if (smallest == idle_.end() || smallest->first > size + size / kSpareShare) {
    return {};
  }
  const auto newest = std::prev(idle_.upper_bound(smallest->first));  // likeliest still in the processor's caches
  const Block block = {.data = newest->second.data, .size = newest->first};
  idle_.erase(newest);
  bytes_.idle -= block.size;
  return block;
}

BlockCache::Block BlockCache::take_new(size_t size) noexcept {
  const size_t most = std::max(bytes_.most_used, bytes_.used + size);
  const size_t bound = std::min(most + most / kExtraShare, most_kept_);
  keep_within(bound - std::min(bound, size));
  void* data = from_system(size);
  if (data == nullptr) {
    keep_within(bytes_.used);
    data = from_system(size);
  }
  return {.data = data, .size = size};
}

void BlockCache::keep_within(size_t total) noexcept {
  while (bytes_.used + bytes_.idle > total && !idle_.empty()) {
    const auto oldest = std::ranges::min_element(idle_, {}, [](const auto& entry) { return entry.second.since; });
    ::munmap(oldest->second.data, oldest->first);
    bytes_.idle -= oldest->first;
    idle_.erase(oldest);
  }
}

}  // namespace bertcram::util
