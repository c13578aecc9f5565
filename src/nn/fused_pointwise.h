#pragma once
// Activations by own kernels: bf16 on a CPU that has the instructions.

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

bool can_fuse_pointwise(const at::Tensor& x);

/// nn::gelu and nn::geglu; differentiable. REQUIRES: can_fuse_pointwise(x); for geglu ffn is a multiple of 16
at::Tensor fused_gelu(const at::Tensor& x);
at::Tensor fused_geglu(const at::Tensor& x);

}  // namespace bertcram::nn
