#pragma once
// Cross-entropy that leaves its gradient where the logits stand: a block takes a row, reads it twice and writes it once; the
// second reading of a row of 32,768 bf16 numbers comes from the second cache.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

constexpr int kRowThreads = 512;

/// All threads get the merged sum of the block.
__device__ inline ExponentialSum merged_over_block(ExponentialSum mine) {
  __shared__ ExponentialSum of_warp[kRowThreads / kWarp];
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    ExponentialSum other;
    other.largest = __shfl_xor_sync(0xffffffffU, mine.largest, distance);
    other.sum = __shfl_xor_sync(0xffffffffU, mine.sum, distance);
    mine = merged(mine, other);
  }
  if (threadIdx.x % kWarp == 0) {
    of_warp[threadIdx.x / kWarp] = mine;
  }
  __syncthreads();
  ExponentialSum all = of_warp[0];
  for (int warp = 1; warp < kRowThreads / kWarp; ++warp) {
    all = merged(all, of_warp[warp]);
  }
  __syncthreads();  // before the next row's sums overwrite these
  return all;
}

/// A row in vectors where all rows begin where vectors do, else number by number.
template <class T>
__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_kernel(T* logits, int64_t rows, int64_t vocab, const int64_t* targets, float error_scale,
                         float* losses) {
  constexpr int kCount = Vector<T>::kCount;
  const int64_t vectors = vocab % kCount == 0 ? vocab / kCount : 0;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    T* const scores = logits + row * vocab;
    const int64_t target = targets[row];
    const float target_score = as_float(scores[target]);  // read before anything is overwritten: see the barriers below
    ExponentialSum sum;
    for (int64_t v = threadIdx.x; v < vectors; v += kRowThreads) {
      const Vector<T> vector = load_vector(scores + v * kCount);
      BC_UNROLL
      for (int k = 0; k < kCount; ++k) {
        sum = with_number(sum, as_float(vector.numbers[k]));
      }
    }
    for (int64_t i = vectors * kCount + threadIdx.x; i < vocab; i += kRowThreads) {
      sum = with_number(sum, as_float(scores[i]));
    }
    const float log_sum = log_of(merged_over_block(sum));
    for (int64_t v = threadIdx.x; v < vectors; v += kRowThreads) {
      Vector<T> vector = load_vector(scores + v * kCount);
      BC_UNROLL
      for (int k = 0; k < kCount; ++k) {
        store(&vector.numbers[k],
              error_scale * prediction_error(as_float(vector.numbers[k]), log_sum, v * kCount + k == target));
      }
      store_vector(scores + v * kCount, vector);
    }
    for (int64_t i = vectors * kCount + threadIdx.x; i < vocab; i += kRowThreads) {
      store(scores + i, error_scale * prediction_error(as_float(scores[i]), log_sum, i == target));
    }
    if (threadIdx.x == 0) {
      losses[row] = log_sum - target_score;
    }
  }
}

}  // namespace bertcram::nn::kernels::cuda
