#pragma once
// What stands between tensors and the CUDA kernels: types, alignment, device and stream.

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdint>

#include "bertcram/util/error.h"
#include "cuda_kernels.h"

namespace bertcram::nn {

inline kernels::cuda::Storage storage_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kHalf: return kernels::cuda::Storage::kFloat16;
    case at::kBFloat16: return kernels::cuda::Storage::kBfloat16;
    default:
      BC_CHECK(tensor.scalar_type() == at::kFloat, tensor.scalar_type());
      return kernels::cuda::Storage::kFloat32;
  }
}

/// The numbers in one piece that begins where the kernels want it.
inline at::Tensor in_one_piece(const at::Tensor& given) {
  constexpr uintptr_t kAlignment = 16;
  const at::Tensor tensor = given.contiguous();
  return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % kAlignment == 0 ? tensor : tensor.clone();
}

/// start(kernels, stream) on the device of `tensor`, behind what LibTorch has started there.
template <class Start>
void start_beside(const at::Tensor& tensor, const Start& start) {
  const c10::DeviceGuard guard(tensor.device());
  const c10::Stream stream = c10::impl::VirtualGuardImpl(tensor.device().type()).getStream(tensor.device());
  const char* const failure = start(*cuda_kernels(), static_cast<kernels::cuda::Stream>(stream.native_handle()));
  if (failure != nullptr) {
    throw InternalError(cat("a CUDA kernel could not be started: ", failure,
                            "; without BERTCRAM_CUDA_KERNELS=on LibTorch's operations are used"));
  }
}

}  // namespace bertcram::nn
