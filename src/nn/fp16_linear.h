#pragma once

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// fp16 on a GPU, where nn::uses_fp16_accumulation().
bool can_accumulate_in_fp16(const at::Tensor& x, const at::Tensor& weight);

/// nn::linear with sums in fp16, except of the gradients of weight and bias, which are added up in fp32, right in the leaves'
/// .grad where that is fp32; differentiable once. On a CPU, and in fp32 and bf16, the same with sums as LibTorch has them.
at::Tensor fp16_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace bertcram::nn
