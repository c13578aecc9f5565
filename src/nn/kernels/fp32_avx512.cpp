// The kernels for fp32 by AVX-512.

#define BC_TARGET [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]]
#define BC_LANES 16

#include "fp32.h"
#include "vectors_body.h"
// These use what the one above defines.
#include "attention_fp32_body.h"
#include "cross_entropy_fp32_body.h"
#include "linear_fp32_body.h"

namespace bertcram::nn::kernels {

const Fp32Kernels kFp32Avx512 = {.attention_forward = attend_forward,
                                 .attention_backward = attend_backward,
                                 .cross_entropy = leave_all_errors,
                                 .linear_forward = multiply_linear};

}  // namespace bertcram::nn::kernels
