#pragma once

#include <cstdint>

namespace bertcram::nn::kernels {

using Bf16 = uint16_t;  ///< the upper half of an fp32 number

/// Whether this processor has the instructions of all kernels here: AVX-512 with BF16.
inline bool has_avx512_bf16() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/// Whether it multiplies bf16 matrices in tiles of their own (AMX).
inline bool has_amx_bf16() { return __builtin_cpu_supports("amx-bf16"); }

}  // namespace bertcram::nn::kernels
