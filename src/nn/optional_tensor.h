#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace bertcram::nn {

/// Of a tensor that may be undefined, as LibTorch's functions take it.
inline std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

}  // namespace bertcram::nn
