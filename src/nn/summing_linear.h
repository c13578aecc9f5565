#pragma once

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// Of one type, and with a switch that says so: fp32 on a CPU with nn::uses_fused(); on a GPU nn::uses_cuda_kernels() or, in fp16,
/// nn::uses_fp16_accumulation().
bool can_sum_gradients(const at::Tensor& x, const at::Tensor& weight);

/// nn::linear whose product for the gradient of the weight adds to what is there: gradients of weight and bias are summed in fp32,
/// right in the leaves' .grad where that is fp32; differentiable once. In fp16 on a GPU the other products are added up in fp16 if
/// nn::uses_fp16_accumulation().
at::Tensor summing_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// sums += left · right, of factors of any one type. @param sums  fp32, contiguous
void add_product(const at::Tensor& sums, const at::Tensor& left, const at::Tensor& right);
/// sums += x.sum(0) for x [rows, columns]. @param sums  [columns] fp32, contiguous
void add_column_sums(const at::Tensor& sums, const at::Tensor& x);

}  // namespace bertcram::nn
