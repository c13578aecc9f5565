#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/index_select.h>

#include <cstdint>
#include <vector>

#include "bertcram/nn/attention.h"
#include "bertcram/nn/rotary.h"

namespace bertcram::model {

/// Place of a head's dropout: 0 is the embeddings, 1, 2, … are the layers.
inline constexpr uint64_t kHeadPlace = ~uint64_t{0};

/// What all layers of one forward pass read beside the states.
struct LayerInput {
  /// Undefined for rows that are sequences: their positions are 0, 1, …  Otherwise [seq] int64 on the device.
  at::Tensor positions;
  std::vector<int64_t> cu_seqlens;
  at::Tensor global_bias;  ///< as in nn::AttentionMask
  at::Tensor local_bias;
  nn::RotaryTables global_rotary = {};  ///< of `seq` tokens
  nn::RotaryTables local_rotary = {};

  nn::AttentionMask global_mask() const { return {.bias = global_bias, .cu_seqlens = cu_seqlens}; }
  nn::AttentionMask local_mask() const { return {.bias = local_bias, .cu_seqlens = cu_seqlens}; }
};

/// @param states [batch, seq, hidden]  @param positions [n] as in Encoder::encode_at, or undefined  @return [n, hidden], or all
inline at::Tensor states_at(const at::Tensor& states, const at::Tensor& positions) {
  return positions.defined() ? at::index_select(states.flatten(0, 1), 0, positions) : states;
}

}  // namespace bertcram::model
