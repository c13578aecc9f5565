#pragma once
// Dropout (Srivastava et al. 2014) that is a pure function of a key.

#include <cstdint>

#include "bertcram/util/random.h"

namespace at {
class Tensor;
}

namespace bertcram::nn {

/// The dropout of one forward pass, or of one place in it.
struct Dropout {
  double probability = 0.0;  ///< in [0, 1); 0 outside training
  uint64_t key = 0;          ///< decides what is dropped

  /// The same with a key of its own, for a layer or a place within one.
  Dropout at(uint64_t place) const { return {probability, util::mix_key({key, place})}; }
};

/// Zeroes entries with that probability and scales the rest by 1 / (1 - probability); the identity when it is 0.
/// Differentiable; keeps nothing for the backward pass.
/// On the CPU which entries go follows from the key and their index alone: equal for every number of threads and type, and
/// from any thread. Elsewhere it is drawn from LibTorch's generator of the device: seed it before (at::manual_seed).
/// @param x  of any shape; fp64, fp32, bf16 or fp16 on the CPU  @return likewise. Pinned by: tests/nn/dropout_test.cpp
at::Tensor dropout(const at::Tensor& x, const Dropout& dropout);

}  // namespace bertcram::nn
