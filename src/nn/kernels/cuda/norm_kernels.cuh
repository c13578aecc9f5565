#pragma once
// Layer normalisation, with the residual addition before it: a block takes a row. The weights' gradients are summed over the rows
// of a block by the thread that owns the column, so that no atomics are needed; the blocks' sums are added by the caller.

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

constexpr int kNormThreads = 256;
constexpr int kNormWarp = 32;

/// All threads get the sum over the block.
__device__ inline float summed_over_block(float mine) {
  __shared__ float of_warp[kNormThreads / kNormWarp];
  for (int distance = kNormWarp / 2; distance > 0; distance /= 2) {
    mine += __shfl_xor_sync(0xffffffffU, mine, distance);
  }
  if (threadIdx.x % kNormWarp == 0) {
    of_warp[threadIdx.x / kNormWarp] = mine;
  }
  __syncthreads();
  float all = 0.0F;
  for (const float each : of_warp) {
    all += each;
  }
  __syncthreads();  // before the next sums overwrite these
  return all;
}

/// The variance is that of the deviations, in a pass of its own: E[x²] - E[x]² loses all digits where the mean is large.
template <class T>
__global__ void __launch_bounds__(kNormThreads) norm_kernel(NormForward call) {
  const auto* const weight = static_cast<const T*>(call.weight);
  const auto* const bias = static_cast<const T*>(call.bias);
  const float share = 1.0F / static_cast<float>(call.hidden);
  for (int64_t row = blockIdx.x; row < call.rows; row += gridDim.x) {
    const T* x = static_cast<const T*>(call.x) + row * call.hidden;
    if (call.branch != nullptr) {
      const T* const branch = static_cast<const T*>(call.branch) + row * call.hidden;
      T* const sum = static_cast<T*>(call.sum) + row * call.hidden;
      for (int64_t i = threadIdx.x; i < call.hidden; i += kNormThreads) {
        store(sum + i, as_float(x[i]) + as_float(branch[i]));
      }
      x = sum;  // each thread reads what it wrote itself
    }
    float total = 0.0F;
    for (int64_t i = threadIdx.x; i < call.hidden; i += kNormThreads) {
      total += as_float(x[i]);
    }
    const float mean = summed_over_block(total) * share;
    float squares = 0.0F;
    for (int64_t i = threadIdx.x; i < call.hidden; i += kNormThreads) {
      const float deviation = as_float(x[i]) - mean;
      squares += deviation * deviation;
    }
    const float inverse_spread = 1.0F / ::sqrtf(summed_over_block(squares) * share + call.eps);
    T* const y = static_cast<T*>(call.y) + row * call.hidden;
    for (int64_t i = threadIdx.x; i < call.hidden; i += kNormThreads) {
      const float shift = bias == nullptr ? 0.0F : as_float(bias[i]);
      store(y + i, (as_float(x[i]) - mean) * inverse_spread * as_float(weight[i]) + shift);
    }
    if (threadIdx.x == 0) {
      call.means[row] = mean;
      call.inverse_spreads[row] = inverse_spread;
    }
  }
}

/// x_gradient = inverse_spread · (g - mean(g) - normed · mean(g · normed)) + residual, where g = y_gradient · weight.
/// REQUIRES: a grid of call.parts blocks
template <class T>
__global__ void __launch_bounds__(kNormThreads) norm_backward_kernel(NormBackward call) {
  const auto* const weight = static_cast<const T*>(call.weight);
  const float share = 1.0F / static_cast<float>(call.hidden);
  float* const weight_sums = call.weight_parts + blockIdx.x * call.hidden;
  float* const bias_sums = call.bias_parts + blockIdx.x * call.hidden;
  for (int64_t i = threadIdx.x; i < call.hidden; i += kNormThreads) {
    weight_sums[i] = 0.0F;
    bias_sums[i] = 0.0F;
  }
  for (int64_t row = blockIdx.x; row < call.rows; row += gridDim.x) {
    const T* const x = static_cast<const T*>(call.x) + row * call.hidden;
    const T* const y_gradient = static_cast<const T*>(call.y_gradient) + row * call.hidden;
    const float mean = call.means[row];
    const float inverse_spread = call.inverse_spreads[row];
    float total = 0.0F;
    float along = 0.0F;
    for (int64_t i = threadIdx.x; i < call.hidden; i += kNormThreads) {
      const float normed = (as_float(x[i]) - mean) * inverse_spread;
      const float gradient = as_float(y_gradient[i]);
      weight_sums[i] += gradient * normed;
      bias_sums[i] += gradient;
      total += gradient * as_float(weight[i]);
      along += gradient * as_float(weight[i]) * normed;
    }
    const float mean_gradient = summed_over_block(total) * share;
    const float mean_along = summed_over_block(along) * share;
    const T* const residual =
        call.residual == nullptr ? nullptr : static_cast<const T*>(call.residual) + row * call.hidden;
    T* const x_gradient = static_cast<T*>(call.x_gradient) + row * call.hidden;
    for (int64_t i = threadIdx.x; i < call.hidden; i += kNormThreads) {
      const float normed = (as_float(x[i]) - mean) * inverse_spread;
      const float own = as_float(y_gradient[i]) * as_float(weight[i]) - mean_gradient - normed * mean_along;
      store(x_gradient + i, inverse_spread * own + (residual == nullptr ? 0.0F : as_float(residual[i])));
    }
  }
}

}  // namespace bertcram::nn::kernels::cuda
