#pragma once
// Own kernels for several operations at once, where the processor has what they need; elsewhere, and where they are turned
// off, the same mathematics is put together from LibTorch's operations, which is what tests compare with.

namespace bertcram::nn {

enum class Fusing {
  kOff,          ///< BERTCRAM_FUSED=off
  kWhereFaster,  ///< unless the environment says something else
  kEverywhere,   ///< BERTCRAM_FUSED=on: also where LibTorch's operations should be faster
};
Fusing fusing();
void set_fusing(Fusing choice);

/// Whether they are not off. Also whether products in fp32 on any CPU add to the gradients of weights.
bool uses_fused();
/// Whether they are on and this processor has what those for bf16 need.
bool has_bf16_kernels();
/// Likewise for fp32 (attention, the loss, and with uses_fp32_products the products of linear maps).
bool has_fp32_kernels();
/// Whether linear maps in fp32 are ours in the forward direction: where they are taken for faster than MKL's, or are asked for.
bool uses_fp32_products();
/// Whether matrix products in bf16 are ours too. Not where the processor has AMX, unless they are asked for: oneDNN's use it, with
/// several times the rate on paper, and ours do not.
bool uses_bf16_products();

/// Off, unless the environment says BERTCRAM_CUDA_KERNELS=on: not all of our kernels for GPUs have run on one yet.
bool uses_cuda_kernels();
void set_cuda_kernels(bool is_on);
/// For commands that compute on a GPU. @throws ResourceError where those kernels are on and cannot be loaded
void require_cuda_kernels();

}  // namespace bertcram::nn
