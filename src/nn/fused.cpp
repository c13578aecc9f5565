#include "bertcram/nn/fused.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/fp32.h"

namespace bertcram::nn {
namespace {

Fusing asked_for() {
  const char* const given = std::getenv("BERTCRAM_FUSED");
  const std::string_view word = given == nullptr ? "" : given;
  return word == "off" ? Fusing::kOff : word == "on" ? Fusing::kEverywhere : Fusing::kWhereFaster;
}

std::atomic<Fusing>& flag() {
  static std::atomic<Fusing> choice = asked_for();
  return choice;
}

bool asked_for_cuda() {
  const char* const given = std::getenv("BERTCRAM_CUDA_KERNELS");
  return given != nullptr && std::string_view(given) == "on";
}

std::atomic<bool>& cuda_flag() {
  static std::atomic<bool> is_on = asked_for_cuda();
  return is_on;
}

}  // namespace

Fusing fusing() { return flag(); }

void set_fusing(Fusing choice) { flag() = choice; }

bool uses_fused() { return flag() != Fusing::kOff; }

bool uses_cuda_kernels() { return cuda_flag(); }

void set_cuda_kernels(bool is_on) { cuda_flag() = is_on; }

bool has_bf16_kernels() { return uses_fused() && kernels::has_avx512_bf16(); }

bool has_fp32_kernels() { return uses_fused() && kernels::has_fp32_kernels(); }

bool uses_fp32_products() {
  return has_fp32_kernels() && (flag() == Fusing::kEverywhere || kernels::has_fast_fp32_products());
}

bool uses_bf16_products() { return has_bf16_kernels() && (flag() == Fusing::kEverywhere || !kernels::has_amx_bf16()); }

}  // namespace bertcram::nn
