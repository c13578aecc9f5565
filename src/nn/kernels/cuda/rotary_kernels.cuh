#pragma once
// Rotary positions: each thread turns one pair of a query's or key's components, and copies two of a value's.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

template <class T>
__global__ void rotate_kernel(QkvShape shape, const T* qkv, const float* cosines, const float* sines, T* out) {
  const int64_t pairs_per_part = shape.heads * shape.half;  // of queries, keys or values of a token
  const int64_t pairs = shape.tokens * 3 * pairs_per_part;
  for (int64_t i = first_item(); i < pairs; i += item_stride()) {
    const int64_t component = i % shape.half;
    const int64_t head = i / shape.half;  // counted through tokens, parts and heads
    const int64_t part = head / shape.heads % 3;
    const int64_t token = head / (3 * shape.heads);
    const int64_t at = head * 2 * shape.half + component;
    Pair pair = {as_float(qkv[at]), as_float(qkv[at + shape.half])};
    if (part < 2) {
      const int64_t angle = token % shape.seq * shape.half + component;
      pair = turned(pair, cosines[angle], sines[angle]);
    }
    store(out + at, pair.first);
    store(out + at + shape.half, pair.second);
  }
}

}  // namespace bertcram::nn::kernels::cuda
