#pragma once
// What libbertcram_cuda.so does, on tensors. It is used only where BERTCRAM_CUDA_KERNELS=on asks for it: all have been compiled, and
// their threads run on a CPU in tests, but not all have run on a GPU yet (docs/gpu.md). Elsewhere nothing here is called, and
// LibTorch's operations do the same.

#include <ATen/core/Tensor.h>

#include "bertcram/nn/functional.h"

namespace bertcram::nn {

/// Whether the kernels are asked for, are there, and take a tensor such as this: on a GPU, fp32, fp16 or bf16.
bool can_fuse_on_gpu(const at::Tensor& x);

/// What lengths of some operations have to be multiples of: numbers that are read at once.
inline constexpr int64_t kGpuStep = 8;

/// nn::gelu and nn::geglu; differentiable. REQUIRES: can_fuse_on_gpu(x); for geglu ffn is a multiple of kGpuStep
at::Tensor gpu_gelu(const at::Tensor& x);
at::Tensor gpu_geglu(const at::Tensor& x);

/// nn::layer_norm and nn::add_norm; differentiable. The gradients of the weights are summed in fp32, right in the leaves' .grad
/// where that is fp32. REQUIRES: can_norm_on_gpu; branch has shape and type of x
bool can_norm_on_gpu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
at::Tensor gpu_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);
NormedSum gpu_add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, const at::Tensor& bias,
                       double eps);

/// nn::rotate without autograd. @param qkv  [batch, seq, 3 · heads · head_dim]
/// @param cosines, sines  seq · head_dim / 2 fp32 numbers, contiguous. REQUIRES: can_fuse_on_gpu(qkv); head_dim / 2 is a multiple of
/// kGpuStep
at::Tensor gpu_turned(const at::Tensor& qkv, const at::Tensor& cosines, const at::Tensor& sines, int64_t heads);

/// sums += x.sum(0) for x [rows, columns]; sums [columns] fp32, contiguous. REQUIRES: can_fuse_on_gpu(x); columns is a multiple of
/// kGpuStep
void gpu_add_column_sums(const at::Tensor& x, const at::Tensor& sums);

/// Leaves error_scale · (softmax - one_hot(target)) where the logits [rows, vocab], contiguous, stand.
/// @return  the losses [rows], fp32
at::Tensor gpu_cross_entropy(const at::Tensor& logits, const at::Tensor& targets, double error_scale);

}  // namespace bertcram::nn
