#pragma once

#include <ATen/core/Tensor.h>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/model/encoder.h"

namespace bertcram::train {

/// A batch's numbers on the device.
struct BatchTensors {
  model::EncoderInput input;
  at::Tensor positions;  ///< [masked] int64
  at::Tensor targets;    ///< [masked] int64
};

BatchTensors tensors_of(const data::MaskedBatch& batch, at::Device device);

}  // namespace bertcram::train
