#pragma once
// The library of CUDA kernels, loaded when it is asked for the first time.

#include "kernels/cuda/launch.h"

namespace bertcram::nn {

/// nullptr where libbertcram_cuda.so was not built, or cannot be loaded.
const kernels::cuda::Kernels* cuda_kernels();

}  // namespace bertcram::nn
