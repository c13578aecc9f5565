#pragma once
// AdamW over flat buffers: one pass over masters, gradients and moments, which also clears the gradients and refreshes the copy
// that the forward pass reads: 30 bytes per number with a copy of two bytes.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

template <class T>
__global__ void adamw_kernel(AdamWStep step, AdamWBuffers buffers, T* copy) {
  for (int64_t i = first_item(); i < buffers.count; i += item_stride()) {
    const AdamWNumber after =
        updated(step, {buffers.masters[i], buffers.first_moments[i], buffers.second_moments[i]}, buffers.gradients[i]);
    buffers.masters[i] = after.master;
    buffers.first_moments[i] = after.first_moment;
    buffers.second_moments[i] = after.second_moment;
    buffers.gradients[i] = 0.0F;
    if (copy != nullptr) {
      store(copy + i, after.master);
    }
  }
}

}  // namespace bertcram::nn::kernels::cuda
