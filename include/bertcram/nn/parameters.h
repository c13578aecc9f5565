#pragma once
// All trainable numbers of a model in flat buffers: fp32 masters, fp32 gradients, and a copy in the compute type.
// Flat buffers make the optimizer, clipping, checkpoints and (later) all-reduce one operation each.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bertcram/nn/parameter_spec.h"

namespace bertcram::nn {

/// A stored tensor: a view into the flat masters (or of another flat buffer with the same layout).
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// A part of a flat buffer, in numbers.
struct FlatRange {
  int64_t begin = 0;
  int64_t size = 0;
};

class Parameters {
 public:
  /// Buffers on `device`, zero-filled; weights are then initialised or loaded.
  Parameters(std::vector<ParameterSpec> specs, at::ScalarType compute_type, at::Device device);

  /// The tensor that a forward pass uses: compute type, requires grad; backward adds its gradient to the flat fp32 one.
  /// @throws InternalError for an unknown leaf
  const at::Tensor& leaf(const std::string& name) const;
  /// The same in fp32, for lookups whose gradients are sums of many small terms (embeddings).
  const at::Tensor& master_leaf(const std::string& name) const;

  /// Draws initial weights, N(0, init_std), as a pure function of (seed, name): equal on every device and thread count.
  void initialise(uint64_t seed, double init_std);

  /// One stored tensor: a view into the masters. @throws InternalError for an unknown name
  at::Tensor stored(const std::string& name) const;
  /// Sets one stored tensor from values of any device and type.
  void assign(const std::string& stored_name, const at::Tensor& values);

  void zero_gradients();
  /// Copies the masters to the compute type; after every change of the masters.
  void sync_compute();

  at::Tensor& masters() { return masters_; }
  at::Tensor& gradients() { return gradients_; }
  /// The copy in the compute type, same layout; masters() where that is fp32.
  at::Tensor& compute_copy() { return compute_; }
  /// After masters and copy were written to past LibTorch's operations: what is kept of a weight goes by its version counter.
  void note_change();
  /// Where a group stands in every flat buffer.
  FlatRange range_of(Group group) const { return ranges_[static_cast<size_t>(group)]; }
  /// Views of `flat` as the linear maps of Group::kMatrix: [blocks, out, in] each.
  std::vector<at::Tensor> matrix_views(const at::Tensor& flat) const;
  /// Trainable numbers, without alignment gaps.
  int64_t count() const;
  at::ScalarType compute_type() const { return compute_type_; }
  at::Device device() const { return masters_.device(); }

  /// Views of `flat` (masters(), or a buffer of the same layout) under the stored names, in the order of the specs.
  std::vector<NamedTensor> stored_views(const at::Tensor& flat) const;

 private:
  struct Slot {
    ParameterSpec spec;
    int64_t offset = 0;
    at::Tensor master;   // fp32 view, requires grad, its grad is the view of gradients_
    at::Tensor compute;  // compute type; the same tensor as master when that is fp32
  };
  const Slot& slot(const std::string& name) const;
  void initialise(const Slot& slot, uint64_t seed, double init_std);
  at::Tensor view_of(const at::Tensor& flat, const Slot& slot) const;
  void make_leaves();

  at::ScalarType compute_type_;
  std::vector<Slot> slots_;
  std::map<std::string, size_t> index_;
  std::array<FlatRange, 3> ranges_{};
  at::Tensor masters_;
  at::Tensor gradients_;
  at::Tensor compute_;
};

}  // namespace bertcram::nn
