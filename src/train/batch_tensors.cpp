#include "batch_tensors.h"

#include <ATen/ops/from_blob.h>

#include <vector>

namespace bertcram::train {
namespace {

template <class Number>
at::Tensor to_device(const std::vector<Number>& numbers, at::IntArrayRef shape, at::ScalarType type,
                     at::Device device) {
  // from_blob only borrows: clone before the vector goes away.
  const at::Tensor borrowed =
      at::from_blob(const_cast<Number*>(numbers.data()), shape, at::TensorOptions().dtype(type));
  return device.is_cpu() ? borrowed.clone() : borrowed.to(device);
}

}  // namespace

BatchTensors tensors_of(const data::MaskedBatch& batch, at::Device device) {
  const auto masked = static_cast<int64_t>(batch.positions.size());
  return {.input = {.ids = to_device(batch.ids, {batch.rows, batch.seq_len}, at::kInt, device)},
          .positions = to_device(batch.positions, {masked}, at::kLong, device),
          .targets = to_device(batch.targets, {masked}, at::kLong, device)};
}

}  // namespace bertcram::train
