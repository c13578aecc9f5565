#include "packed_weight.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <compare>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/linear_bf16.h"
#include "raw.h"

namespace bertcram::nn {
namespace {

at::Tensor pack(const at::Tensor& weight, Packing packing) {
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const bool is_for_product = packing == Packing::kForProduct;
  const int64_t columns = is_for_product ? out : in;
  const auto pack_part = is_for_product ? kernels::pack_weight : kernels::pack_weight_for_gradient;
  at::Tensor packed = at::empty({out, in}, weight.options().requires_grad(false));
  const int64_t parts = (columns + kernels::kPackColumns - 1) / kernels::kPackColumns;
  at::parallel_for(0, parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    pack_part(bf16(weight), out, in, begin * kernels::kPackColumns, std::min(end * kernels::kPackColumns, columns),
              mutable_bf16(packed));
  });
  return packed;
}

class PackedWeights {
 public:
  at::Tensor of(const at::Tensor& weight, Packing packing) {
    const std::shared_ptr<Entry> entry = find(weight, packing);
    const std::scoped_lock lock(entry->mutex);
    const uint32_t version = weight.unsafeGetTensorImpl()->version_counter().current_version();
    if (!entry->packed.defined() || entry->version != version) {
      entry->packed.reset();  // its memory first
      entry->packed = pack(weight, packing);
      entry->version = version;
    }
    return entry->packed;
  }

 private:
  struct Key {
    const c10::StorageImpl* storage;
    int64_t offset;
    int64_t out;
    int64_t in;
    Packing packing;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    explicit Entry(const at::Tensor& weight) : storage(weight.storage().getWeakStorageImpl()) {}
    /// Keeps the address in the key from being used again, not the memory of the weight.
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    std::mutex mutex;
    uint32_t version = 0;
    at::Tensor packed;
  };

  std::shared_ptr<Entry> find(const at::Tensor& weight, Packing packing) {
    const Key key = {.storage = weight.storage().unsafeGetStorageImpl(),
                     .offset = weight.storage_offset(),
                     .out = weight.size(0),
                     .in = weight.size(1),
                     .packing = packing};
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<Entry>& entry = entries_[key];
    if (entry == nullptr) {
      entry = std::make_shared<Entry>(weight);
      const std::shared_ptr<Entry> made = entry;
      std::erase_if(entries_, [](const auto& each) { return each.second->storage.expired(); });
      return made;
    }
    return entry;
  }

  std::mutex mutex_;
  std::map<Key, std::shared_ptr<Entry>> entries_;
};

}  // namespace

at::Tensor packed_weight(const at::Tensor& weight, Packing packing) {
  if (weight.is_inference()) {  // has no version counter
    return pack(weight, packing);
  }
  static auto& all = *new PackedWeights;  // never destroyed: LibTorch's allocator may be gone before
  return all.of(weight, packing);
}

}  // namespace bertcram::nn
