#pragma once
// How kernels read, write and count numbers. The kernels are in headers of their own, apart from how they are started, so that a
// test compiles them for the CPU and runs their threads there (tests/nn/cuda_kernels_on_cpu_test.cpp).

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <cstdint>

#include "launch.h"

// For loops over what stays in registers, and for loads that need not wait for each other.
#ifdef __CUDACC__
#define BC_PRAGMA(text) _Pragma(#text)
#define BC_UNROLL BC_PRAGMA(unroll)
#define BC_UNROLL_BY(count) BC_PRAGMA(unroll count)
#else
#define BC_UNROLL
#define BC_UNROLL_BY(count)
#endif

namespace bertcram::nn::kernels::cuda {

constexpr int kWarp = 32;  // threads

__device__ inline float as_float(float x) { return x; }
/// Rounded to nearest, ties to even.
__device__ inline void store(float* to, float x) { *to = x; }

#ifdef __CUDACC__
__device__ inline float as_float(__half x) { return __half2float(x); }
__device__ inline float as_float(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void store(__half* to, float x) { *to = __float2half_rn(x); }
__device__ inline void store(__nv_bfloat16* to, float x) { *to = __float2bfloat16_rn(x); }
#endif

/// Neighbours that are read and written at once: 16 bytes.
template <class T>
struct alignas(16) Vector {
  static constexpr int kCount = 16 / sizeof(T);
  T numbers[16 / sizeof(T)];
};

template <class T>
__device__ inline Vector<T> load_vector(const T* from) {
  return *reinterpret_cast<const Vector<T>*>(from);
}

template <class T>
__device__ inline void store_vector(T* to, const Vector<T>& vector) {
  *reinterpret_cast<Vector<T>*>(to) = vector;
}

/// A thread takes the items first_item(), first_item() + item_stride(), …
__device__ inline int64_t first_item() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t item_stride() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

}  // namespace bertcram::nn::kernels::cuda
