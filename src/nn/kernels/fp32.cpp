#include "fp32.h"

#include <algorithm>
#include <atomic>

namespace bertcram::nn::kernels {
namespace {

InstructionSet of_this_processor() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return InstructionSet::kAvx512;
  }
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? InstructionSet::kAvx2
                                                                         : InstructionSet::kNeither;
}

std::atomic<InstructionSet>& allowed() {
  static std::atomic<InstructionSet> most = InstructionSet::kAvx512;
  return most;
}

}  // namespace

InstructionSet fp32_instructions() {
  static const InstructionSet own = of_this_processor();
  return std::min(own, allowed().load());
}

bool has_fast_fp32_products() {
  static const bool is_amd = __builtin_cpu_is("amd") != 0;
  return is_faster_than_mkl(is_amd, fp32_instructions());
}

void allow_fp32_instructions(InstructionSet most) { allowed() = most; }

}  // namespace bertcram::nn::kernels
