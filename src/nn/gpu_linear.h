#pragma once

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// On a GPU, of one type, with nn::uses_cuda_kernels() or, in fp16, nn::uses_fp16_accumulation().
bool can_sum_gradients_on_gpu(const at::Tensor& x, const at::Tensor& weight);

/// nn::linear. The gradients of weight and bias are added up in fp32, right in the leaves' .grad where that is fp32; differentiable
/// once. In fp16 on a GPU the other products are added up in fp16 if nn::uses_fp16_accumulation(). Also for a CPU.
at::Tensor gpu_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// sums += left · right, of factors of any one type. @param sums  fp32, contiguous
void add_product(const at::Tensor& sums, const at::Tensor& left, const at::Tensor& right);
/// sums += x.sum(0) for x [rows, columns]. @param sums  [columns] fp32, contiguous
void add_column_sums(const at::Tensor& sums, const at::Tensor& x);

}  // namespace bertcram::nn
