#pragma once
// Layer normalisation and the addition before it by own kernels: bf16 on a CPU that has the instructions.

#include <ATen/core/Tensor.h>

#include "bertcram/nn/functional.h"

namespace bertcram::nn {

/// Whether the functions below take it. @param bias  may be undefined
bool can_fuse_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// nn::layer_norm and nn::add_norm; differentiable. The gradients of the weights are summed in fp32, right in the leaves' .grad
/// where that is fp32.
at::Tensor fused_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);
NormedSum fused_add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight,
                         const at::Tensor& bias, double eps);

}  // namespace bertcram::nn
