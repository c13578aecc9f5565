#pragma once
// AdamW (Loshchilov & Hutter 2019, algorithm 2) over flat buffers of a GPU, as one kernel: scaling, moments, weights, their copy in
// the compute type, zeros for the next gradient.

#include <ATen/core/Tensor.h>

#include "bertcram/nn/adamw_step.h"

namespace bertcram::nn {

/// Numbers of one range, all fp32 [count] but the copy. They are changed in place.
struct GpuAdamwBuffers {
  at::Tensor masters;
  at::Tensor gradients;  ///< zeros afterwards
  at::Tensor first_moments;
  at::Tensor second_moments;
  at::Tensor copy;  ///< what masters become in another type; undefined for none
};

/// @return whether it was done: false, and nothing is changed, where the kernels were not asked for (BERTCRAM_CUDA_KERNELS) or
/// the numbers are not on a GPU
bool gpu_adamw(const AdamwStep& step, const GpuAdamwBuffers& buffers);

}  // namespace bertcram::nn
