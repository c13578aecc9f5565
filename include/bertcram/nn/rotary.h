#pragma once
// Rotary position embeddings (Su et al. 2021): queries and keys are turned by angles that grow with their position, so
// that their products depend on distances only.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bertcram::nn {

/// Cosines and sines of the angles position · theta^(-2i / head_dim), fp32. The angles are formed in fp32 as Hugging Face
/// forms them, so that long sequences agree with it.
struct RotaryTables {
  at::Tensor cosines;  ///< [tokens, head_dim / 2]
  at::Tensor sines;    ///< likewise
};

/// @param positions  [tokens] int64, on the device of the tables to be  @param theta > 1  REQUIRES: head_dim is even
RotaryTables rotary_tables(const at::Tensor& positions, int64_t head_dim, double theta);

/// Turns the queries and keys; values stay. Component i of a head is paired with component i + head_dim / 2, as in
/// Hugging Face; products in fp32.
/// @param qkv  [batch, seq, 3 * heads * head_dim], dtype fp64, fp32, bf16 or fp16  @param tables  of `seq` tokens
/// @return     shape and dtype of qkv; differentiable in qkv. @throws ShapeError
/// Pinned by: tests/nn/rotary_test.cpp
at::Tensor rotate(const at::Tensor& qkv, const RotaryTables& tables, int64_t heads);

}  // namespace bertcram::nn
