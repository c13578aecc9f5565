#include "cpu_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <limits>
#include <mutex>

#include "bertcram/util/block_cache.h"
#include "bertcram/util/out_of_memory.h"

namespace bertcram::train {
namespace {

constexpr size_t kLeastBytes = size_t{32} << 10;  // malloc's heap serves smaller ones without the system

/// Never destroyed: LibTorch keeps tensors in static objects.
util::BlockCache& cache() {
  static auto* const cache = new util::BlockCache;
  return *cache;
}

/// From LibTorch's own allocator, which says in the words that are known where memory is out.
void* from_default(size_t bytes) {
  try {
    return c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
  } catch (const std::exception& error) {
    if (!util::is_out_of_memory(error)) {
      throw;
    }
  }
  cache().give_back();  // what lies idle may be what is missing
  return c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
}

class KeepingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* block = bytes < kLeastBytes ? nullptr : cache().allocate(bytes);
    if (block == nullptr) {
      block = from_default(bytes);
    }
    return {block, block, &free_block, c10::Device(c10::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

 private:
  static void free_block(void* block) {
    if (!cache().release(block)) {
      c10::GetDefaultCPUAllocator()->raw_deallocate(block);
    }
  }
};

}  // namespace

void keep_freed_memory(std::optional<int64_t> limit) {
  constexpr int64_t kOthersShare = 8;
  cache().keep_below(limit ? static_cast<size_t>(*limit - *limit / kOthersShare) : std::numeric_limits<size_t>::max());
  constexpr uint8_t kAboveDefault = 1;
  static std::once_flag installed;
  std::call_once(installed, [] { c10::SetCPUAllocator(new KeepingAllocator, kAboveDefault); });
}

void give_back_freed_memory() { cache().give_back(); }

}  // namespace bertcram::train
