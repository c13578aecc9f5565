#pragma once
// Rotary positions: each thread turns neighbouring pairs of a query's or key's components, and copies as many of a value's.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

/// REQUIRES: shape.half is a multiple of the vector's length
template <class T>
__global__ void rotate_kernel(QkvShape shape, const T* qkv, const float* cosines, const float* sines, T* out) {
  constexpr int kCount = Vector<T>::kCount;
  const int64_t vectors_of_half = shape.half / kCount;
  const int64_t vectors = shape.tokens * 3 * shape.heads * vectors_of_half;
  for (int64_t i = first_item(); i < vectors; i += item_stride()) {
    const int64_t component = i % vectors_of_half * kCount;
    const int64_t head = i / vectors_of_half;  // counted through tokens, parts and heads
    const int64_t part = head / shape.heads % 3;
    const int64_t token = head / (3 * shape.heads);
    const int64_t at = head * 2 * shape.half + component;
    Vector<T> first = load_vector(qkv + at);
    Vector<T> second = load_vector(qkv + at + shape.half);
    if (part < 2) {
      const int64_t angle = token % shape.seq * shape.half + component;
      BC_UNROLL
      for (int k = 0; k < kCount; ++k) {
        const Pair pair =
            turned({as_float(first.numbers[k]), as_float(second.numbers[k])}, cosines[angle + k], sines[angle + k]);
        store(&first.numbers[k], pair.first);
        store(&second.numbers[k], pair.second);
      }
    }
    store_vector(out + at, first);
    store_vector(out + at + shape.half, second);
  }
}

}  // namespace bertcram::nn::kernels::cuda
