#pragma once
// Layer normalisation, with the residual addition before it: a warp takes a row and keeps it in registers, so that memory is read
// once. A thread has the same columns of every row, and so sums their weights' gradients in registers too; the warps of a block are
// added up in their order, the blocks by add_parts_kernel.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

constexpr int kNormWarps = 8;

__device__ inline float summed_over_warp(float mine) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    mine += __shfl_xor_sync(0xffffffffU, mine, distance);
  }
  return mine;
}

/// body(k, column) for the vectors of a row that this thread has: number k, at most kVectors of them, begins at `column`.
template <class T, int kVectors, class Body>
__device__ inline void for_own_vectors(int64_t hidden, const Body& body) {
  BC_UNROLL
  for (int k = 0; k < kVectors; ++k) {
    const int64_t column = (static_cast<int64_t>(k) * kWarp + threadIdx.x % kWarp) * Vector<T>::kCount;
    if (column < hidden) {
      body(k, column);
    }
  }
}

template <class T>
__device__ inline Vector<T> summed_vectors(const Vector<T>& a, const Vector<T>& b) {
  Vector<T> sum;
  for (int i = 0; i < Vector<T>::kCount; ++i) {
    store(&sum.numbers[i], as_float(a.numbers[i]) + as_float(b.numbers[i]));
  }
  return sum;
}

/// The variance is that of the deviations, summed in a pass of its own: E[x²] - E[x]² loses all digits where the mean is large.
/// REQUIRES: hidden is a multiple of the vector's length, at most kVectors · kWarp vectors
template <class T, int kVectors>
__global__ void __launch_bounds__(kNormWarps* kWarp) norm_kernel(NormForward call) {
  constexpr int kCount = Vector<T>::kCount;
  const auto* const weight = static_cast<const T*>(call.weight);
  const auto* const bias = static_cast<const T*>(call.bias);
  const float share = 1.0F / static_cast<float>(call.hidden);
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * warps + threadIdx.x / kWarp; row < call.rows;
       row += static_cast<int64_t>(gridDim.x) * warps) {
    const int64_t start = row * call.hidden;
    Vector<T> x[kVectors];
    float total = 0.0F;
    for_own_vectors<T, kVectors>(call.hidden, [&](int k, int64_t column) {
      x[k] = load_vector(static_cast<const T*>(call.x) + start + column);
      if (call.branch != nullptr) {
        x[k] = summed_vectors(x[k], load_vector(static_cast<const T*>(call.branch) + start + column));
        store_vector(static_cast<T*>(call.sum) + start + column, x[k]);
      }
      for (int i = 0; i < kCount; ++i) {
        total += as_float(x[k].numbers[i]);
      }
    });
    const float mean = summed_over_warp(total) * share;
    float squares = 0.0F;
    for_own_vectors<T, kVectors>(call.hidden, [&](int k, int64_t /*column*/) {
      for (int i = 0; i < kCount; ++i) {
        const float deviation = as_float(x[k].numbers[i]) - mean;
        squares += deviation * deviation;
      }
    });
    const float inverse_spread = 1.0F / ::sqrtf(summed_over_warp(squares) * share + call.eps);
    for_own_vectors<T, kVectors>(call.hidden, [&](int k, int64_t column) {
      const Vector<T> scales = load_vector(weight + column);
      const Vector<T> shifts = bias == nullptr ? Vector<T>{} : load_vector(bias + column);
      for (int i = 0; i < kCount; ++i) {
        const float normed = (as_float(x[k].numbers[i]) - mean) * inverse_spread;
        store(&x[k].numbers[i],
              normed * as_float(scales.numbers[i]) + (bias == nullptr ? 0.0F : as_float(shifts.numbers[i])));
      }
      store_vector(static_cast<T*>(call.y) + start + column, x[k]);
    });
    if (threadIdx.x % kWarp == 0) {
      call.means[row] = mean;
      call.inverse_spreads[row] = inverse_spread;
    }
  }
}

/// The sums of the columns over the block's threads, to `part` [hidden]. One warp after the other adds its own, so that the order is
/// fixed; they lie so that the threads of a warp are neighbours.
/// REQUIRES: all threads of the block call it
template <class T, int kVectors>
__device__ inline void sum_over_block(const float (&mine)[kVectors][Vector<T>::kCount], int64_t hidden, float* part) {
  constexpr int kCount = Vector<T>::kCount;
  __shared__ float sums[kVectors][kCount][kWarp];
  const unsigned lane = threadIdx.x % kWarp;
  for (unsigned warp = 0; warp < blockDim.x / kWarp; ++warp) {
    if (threadIdx.x / kWarp == warp) {
      BC_UNROLL
      for (int k = 0; k < kVectors; ++k) {
        for (int i = 0; i < kCount; ++i) {
          sums[k][i][lane] = mine[k][i] + (warp == 0 ? 0.0F : sums[k][i][lane]);
        }
      }
    }
    __syncthreads();
  }
  for (int64_t column = threadIdx.x; column < hidden; column += blockDim.x) {
    const int64_t vector = column / kCount;
    part[column] = sums[vector / kWarp][column % kCount][vector % kWarp];
  }
  __syncthreads();  // before the next sums overwrite these
}

/// x_gradient = inverse_spread · (g - mean(g) - normed · mean(g · normed)) + residual, where g = y_gradient · weight.
/// REQUIRES: as norm_kernel, and a grid of call.parts blocks
template <class T, int kVectors>
__global__ void __launch_bounds__(kNormWarps* kWarp) norm_backward_kernel(NormBackward call) {
  constexpr int kCount = Vector<T>::kCount;
  const auto* const weight = static_cast<const T*>(call.weight);
  const auto* const residual = static_cast<const T*>(call.residual);
  const float share = 1.0F / static_cast<float>(call.hidden);
  float weight_sums[kVectors][kCount] = {};
  float bias_sums[kVectors][kCount] = {};
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * warps + threadIdx.x / kWarp; row < call.rows;
       row += static_cast<int64_t>(gridDim.x) * warps) {
    const int64_t start = row * call.hidden;
    const float mean = call.means[row];
    const float inverse_spread = call.inverse_spreads[row];
    Vector<T> x[kVectors];
    Vector<T> gradients[kVectors];
    float total = 0.0F;
    float along = 0.0F;
    for_own_vectors<T, kVectors>(call.hidden, [&](int k, int64_t column) {
      x[k] = load_vector(static_cast<const T*>(call.x) + start + column);
      gradients[k] = load_vector(static_cast<const T*>(call.y_gradient) + start + column);
      const Vector<T> scales = load_vector(weight + column);
      for (int i = 0; i < kCount; ++i) {
        const float normed = (as_float(x[k].numbers[i]) - mean) * inverse_spread;
        const float gradient = as_float(gradients[k].numbers[i]);
        weight_sums[k][i] += gradient * normed;
        bias_sums[k][i] += gradient;
        total += gradient * as_float(scales.numbers[i]);
        along += gradient * as_float(scales.numbers[i]) * normed;
      }
    });
    const float mean_gradient = summed_over_warp(total) * share;
    const float mean_along = summed_over_warp(along) * share;
    for_own_vectors<T, kVectors>(call.hidden, [&](int k, int64_t column) {
      const Vector<T> scales = load_vector(weight + column);
      const Vector<T> beside = residual == nullptr ? Vector<T>{} : load_vector(residual + start + column);
      for (int i = 0; i < kCount; ++i) {
        const float normed = (as_float(x[k].numbers[i]) - mean) * inverse_spread;
        const float own =
            as_float(gradients[k].numbers[i]) * as_float(scales.numbers[i]) - mean_gradient - normed * mean_along;
        store(&gradients[k].numbers[i],
              inverse_spread * own + (residual == nullptr ? 0.0F : as_float(beside.numbers[i])));
      }
      store_vector(static_cast<T*>(call.x_gradient) + start + column, gradients[k]);
    });
  }
  sum_over_block<T, kVectors>(weight_sums, call.hidden, call.weight_parts + blockIdx.x * call.hidden);
  if (call.bias_sums != nullptr) {
    sum_over_block<T, kVectors>(bias_sums, call.hidden, call.bias_parts + blockIdx.x * call.hidden);
  }
}

}  // namespace bertcram::nn::kernels::cuda
