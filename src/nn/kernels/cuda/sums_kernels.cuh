#pragma once
// Sums over rows, for the gradients of what all rows share. Blocks add up parts, which are added in a second pass: no atomics, so
// the order of the sums is always the same.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

constexpr int kSumWarps = 8;
constexpr int kPartWarps = 16;

/// columns [columns] += Σ over the parts [count, columns].
/// REQUIRES: a block of kPartWarps warps for every kWarp columns
__global__ void __launch_bounds__(kPartWarps* kWarp)
    add_parts_kernel(const float* parts, int64_t count, int64_t columns, float* sums) {
  __shared__ float of_warp[kPartWarps][kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  float mine = 0.0F;
  if (column < columns) {
    for (int64_t part = warp; part < count; part += kPartWarps) {
      mine += parts[part * columns + column];
    }
  }
  of_warp[warp][lane] = mine;
  __syncthreads();
  if (warp == 0 && column < columns) {
    float all = 0.0F;
    for (int each = 0; each < kPartWarps; ++each) {
      all += of_warp[each][lane];
    }
    sums[column] += all;
  }
}

/// Part p of parts [count, columns] is the sum over rows p · kSumWarps, …, + kSumWarps - 1 and then every count · kSumWarps further.
/// REQUIRES: columns is a multiple of the vector's length; blocks of kSumWarps warps, `count` for every kWarp vectors of a row, those
///           of a part following each other
template <class T>
__global__ void __launch_bounds__(kSumWarps* kWarp)
    column_parts_kernel(const T* x, int64_t rows, int64_t columns, int64_t count, float* parts) {
  constexpr int kCount = Vector<T>::kCount;
  __shared__ float of_warp[kSumWarps][kWarp * kCount];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t blocks_of_a_row = (columns / kCount + kWarp - 1) / kWarp;
  const int64_t part = blockIdx.x / blocks_of_a_row;
  const int64_t first_column = blockIdx.x % blocks_of_a_row * kWarp * kCount;
  const int64_t column = first_column + lane * kCount;
  float mine[kCount] = {};
  if (column < columns) {
    BC_UNROLL_BY(4)
    for (int64_t row = part * kSumWarps + warp; row < rows; row += count * kSumWarps) {
      const Vector<T> numbers = load_vector(x + row * columns + column);
      for (int k = 0; k < kCount; ++k) {
        mine[k] += as_float(numbers.numbers[k]);
      }
    }
  }
  for (int k = 0; k < kCount; ++k) {
    of_warp[warp][lane * kCount + k] = mine[k];
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < kWarp * kCount && first_column + i < columns; i += kSumWarps * kWarp) {
    float all = 0.0F;
    for (int each = 0; each < kSumWarps; ++each) {
      all += of_warp[each][i];
    }
    parts[part * columns + first_column + i] = all;
  }
}

}  // namespace bertcram::nn::kernels::cuda
