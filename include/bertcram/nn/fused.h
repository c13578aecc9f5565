#pragma once
// Own kernels for several operations at once, where the processor has what they need; elsewhere, and where they are turned
// off, the same mathematics is put together from LibTorch's operations, which is what tests compare with.

namespace bertcram::nn {

/// On, unless the environment says BERTCRAM_FUSED=off. Also whether products in fp32 on any CPU add to the gradients of weights.
bool uses_fused();
void set_fused(bool is_on);
/// Whether they are on and this processor has what those for bf16 need.
bool has_bf16_kernels();

/// Off, unless the environment says BERTCRAM_CUDA_KERNELS=on: not all of our kernels for GPUs have run on one yet.
bool uses_cuda_kernels();
void set_cuda_kernels(bool is_on);
/// For commands that compute on a GPU. @throws ResourceError where those kernels are on and cannot be loaded
void require_cuda_kernels();

}  // namespace bertcram::nn
