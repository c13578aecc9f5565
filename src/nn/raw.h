#pragma once
// The numbers of a tensor as the kernels see them.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bertcram::nn {

inline const uint16_t* bf16(const at::Tensor& tensor) {
  return reinterpret_cast<const uint16_t*>(tensor.const_data_ptr<at::BFloat16>());
}

inline uint16_t* mutable_bf16(const at::Tensor& tensor) {
  return reinterpret_cast<uint16_t*>(tensor.mutable_data_ptr<at::BFloat16>());
}

}  // namespace bertcram::nn
