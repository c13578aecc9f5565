#pragma once

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// x · weightᵀ + bias without autograd, by the faster of LibTorch's product and, in fp32 on a CPU, our own (nn::uses_fp32_products).
/// REQUIRES: x.size(-1) == weight.size(1)
/// @param x [..., in]  @param weight [out, in]  @param bias [out] or undefined  @return [..., out]
at::Tensor forward_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace bertcram::nn
