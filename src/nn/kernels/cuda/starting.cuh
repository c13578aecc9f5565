#pragma once
// How kernels are started.

#include <cuda_runtime.h>

#include <algorithm>
#include <type_traits>

#include "numbers.cuh"

namespace bertcram::nn::kernels::cuda {

constexpr int kThreads = 256;

/// Blocks for a loop that strides over the grid: enough to fill the largest card, no more than there is work for.
inline unsigned blocks_for(int64_t items) {
  constexpr int64_t kMost = 4096;
  return static_cast<unsigned>(std::clamp<int64_t>((items + kThreads - 1) / kThreads, 1, kMost));
}

inline const char* launch_failure() {
  const cudaError_t status = cudaGetLastError();
  return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}

/// body(T{}) for the stored type T.
template <class Body>
void with_type(Storage type, const Body& body) {
  switch (type) {
    case Storage::kFloat32: body(float{}); break;
    case Storage::kFloat16: body(__half{}); break;
    case Storage::kBfloat16: body(__nv_bfloat16{}); break;
  }
}

/// sums [columns] += Σ over the parts [count, columns].
void add_parts(const float* parts, int64_t count, int64_t columns, float* sums, Stream stream);

// The launchers that the table in kernels.cu names.
const char* gelu(Storage type, const void* x, int64_t count, void* y, Stream stream);
const char* gelu_backward(Storage type, const void* x, const void* y_gradient, int64_t count, void* x_gradient,
                          Stream stream);
const char* geglu(Storage type, const void* x, int64_t rows, int64_t ffn, void* y, Stream stream);
const char* geglu_backward(Storage type, const void* x, const void* y_gradient, int64_t rows, int64_t ffn,
                           void* x_gradient, Stream stream);
const char* rotate(Storage type, const QkvShape& shape, const void* qkv, const float* cosines, const float* sines,
                   void* out, Stream stream);
const char* cross_entropy(Storage type, void* logits, int64_t rows, int64_t vocab, const int64_t* targets,
                          float error_scale, float* losses, Stream stream);
const char* norm(Storage type, const NormForward& call, Stream stream);
const char* norm_backward(Storage type, const NormBackward& call, Stream stream);
const char* column_sums(Storage type, const void* x, int64_t rows, int64_t columns, const SumParts& parts, float* sums,
                        Stream stream);
const char* adamw(const AdamWStep& step, Storage copy_type, const AdamWBuffers& buffers, Stream stream);

}  // namespace bertcram::nn::kernels::cuda
