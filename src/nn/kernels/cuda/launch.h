#pragma once
// What libbertcram_cuda.so offers: kernels that work on memory of a GPU, in the order of a stream. No LibTorch and no CUDA
// header is seen here, so that the sources that call them need neither toolkit nor driver. C++17, for nvcc's sake.
//
// Every launcher returns nullptr, or a text that says why CUDA refused the launch; errors of the running kernel show later, as
// those of any other. Pointers are memory of the current device, aligned to 16 bytes. Nothing is allocated, nothing waits,
// atomics are not used: the same input gives the same bits.

#include <cstdint>

#include "scalar_math.h"

struct CUstream_st;  // what a cudaStream_t points at

namespace bertcram::nn::kernels::cuda {

using Stream = CUstream_st*;

/// How numbers are stored; arithmetic is fp32.
enum class Storage : int { kFloat32, kFloat16, kBfloat16 };

/// Numbers that are read at once, at most.
inline constexpr int64_t kVectorNumbers = 8;

/// Whether norms take rows of that length, which a warp holds in its registers.
constexpr bool row_fits(int64_t hidden) { return hidden % kVectorNumbers == 0 && hidden <= 1024; }

struct QkvShape {
  int64_t tokens;  ///< batch · seq
  int64_t seq;     ///< token t stands at position t mod seq
  int64_t heads;
  int64_t half;  ///< head_dim / 2
};

/// Where column_sums keeps what blocks have added up.
struct SumParts {
  float* numbers;  ///< [count, columns]
  int64_t count;   ///< >= 1
};

/// The addresses that adamw works on, `count` numbers each.
struct AdamWBuffers {
  float* masters;
  float* gradients;  ///< set to zero
  float* first_moments;
  float* second_moments;
  void* copy;  ///< of the masters in another type; may be null
  int64_t count;
};

/// Rows of `hidden` numbers: y = (x - mean) · inverse_spread · weight + bias, of x + branch where there is a branch.
struct NormForward {
  const void* x;
  const void* branch;  ///< may be null
  const void* weight;  ///< [hidden]
  const void* bias;    ///< [hidden]; may be null
  void* sum;           ///< x + branch; null without a branch
  void* y;
  float* means;            ///< [rows]
  float* inverse_spreads;  ///< [rows], 1 / sqrt(variance + eps)
  int64_t rows;
  int64_t hidden;
  float eps;
};

struct NormBackward {
  const void* x;  ///< what was normalised
  const void* y_gradient;
  const void* residual;  ///< a gradient that x has beside; may be null
  const void* weight;
  const float* means;
  const float* inverse_spreads;
  void* x_gradient;
  float* weight_parts;  ///< [parts, hidden], for sums of some rows
  float* bias_parts;    ///< likewise
  float* weight_sums;   ///< [hidden]: the weight's gradient is added to it
  float* bias_sums;     ///< [hidden]; may be null
  int64_t rows;
  int64_t hidden;
  int64_t parts;  ///< >= 1
};

struct Kernels {
  /// y = gelu(x), `count` numbers. y may be x.
  const char* (*gelu)(Storage type, const void* x, int64_t count, void* y, Stream stream);
  /// x_gradient may be y_gradient.
  const char* (*gelu_backward)(Storage type, const void* x, const void* y_gradient, int64_t count, void* x_gradient,
                               Stream stream);
  /// y [rows, ffn] = gelu(x[:, :ffn]) · x[:, ffn:] of x [rows, 2 · ffn]
  const char* (*geglu)(Storage type, const void* x, int64_t rows, int64_t ffn, void* y, Stream stream);
  const char* (*geglu_backward)(Storage type, const void* x, const void* y_gradient, int64_t rows, int64_t ffn,
                                void* x_gradient, Stream stream);
  /// nn::rotate of qkv [tokens, 3, heads, 2 · half]; values are copied. out may be qkv. @param cosines, sines  [seq, half]
  /// REQUIRES: half is a multiple of kVectorNumbers
  const char* (*rotate)(Storage type, const QkvShape& shape, const void* qkv, const float* cosines, const float* sines,
                        void* out, Stream stream);
  /// Logits [rows, vocab] become error_scale · (softmax - one_hot(target)); losses [rows] = -log softmax at the target.
  const char* (*cross_entropy)(Storage type, void* logits, int64_t rows, int64_t vocab, const int64_t* targets,
                               float error_scale, float* losses, Stream stream);
  /// REQUIRES: row_fits(hidden)
  const char* (*norm)(Storage type, const NormForward& call, Stream stream);
  const char* (*norm_backward)(Storage type, const NormBackward& call, Stream stream);
  /// sums [columns] += Σ over the rows of x [rows, columns]; columns is a multiple of kVectorNumbers
  const char* (*column_sums)(Storage type, const void* x, int64_t rows, int64_t columns, const SumParts& parts,
                             float* sums, Stream stream);
  const char* (*adamw)(const AdamWStep& step, Storage copy_type, const AdamWBuffers& buffers, Stream stream);
};

/// The name under which the library has a function `const Kernels*()`.
inline constexpr const char* kGetKernels = "bertcram_cuda_kernels";
inline constexpr const char* kLibrary = "libbertcram_cuda.so";

}  // namespace bertcram::nn::kernels::cuda
