#include "batch_tensors.h"

#include <ATen/ops/from_blob.h>

#include <vector>

#include "bertcram/nn/to_device.h"

namespace bertcram::train {
namespace {

template <class Number>
at::Tensor as_tensor(const std::vector<Number>& numbers, at::IntArrayRef shape, at::ScalarType type,
                     at::Device device) {
  const at::Tensor borrowed =
      at::from_blob(const_cast<Number*>(numbers.data()), shape, at::TensorOptions().dtype(type));
  return device.is_cpu() ? borrowed.clone() : nn::to_device(borrowed, device);  // the vector goes away
}

}  // namespace

BatchTensors tensors_of(const data::MaskedBatch& batch, at::Device device) {
  const auto masked = static_cast<int64_t>(batch.positions.size());
  return {.input = {.ids = as_tensor(batch.ids, {batch.rows, batch.seq_len}, at::kInt, device)},
          .positions = as_tensor(batch.positions, {masked}, at::kLong, device),
          .targets = as_tensor(batch.targets, {masked}, at::kLong, device)};
}

}  // namespace bertcram::train
