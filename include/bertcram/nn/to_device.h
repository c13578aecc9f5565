#pragma once

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// A tensor of the CPU, there: `host` itself for the CPU. On its way to a GPU it goes through pinned memory, so that the caller
/// waits neither for the copy nor for what is queued before it; kernels that are started afterwards see the numbers.
at::Tensor to_device(const at::Tensor& host, at::Device device);

}  // namespace bertcram::nn
