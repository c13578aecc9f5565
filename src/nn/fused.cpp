#include "bertcram/nn/fused.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "kernels/bf16.h"

namespace bertcram::nn {
namespace {

bool asked_for() {
  const char* const word = std::getenv("BERTCRAM_FUSED");
  return word == nullptr || std::string_view(word) != "off";
}

std::atomic<bool>& flag() {
  static std::atomic<bool> is_on = asked_for();
  return is_on;
}

std::atomic<bool>& cuda_flag() {
  const char* const word = std::getenv("BERTCRAM_CUDA_KERNELS");
  static std::atomic<bool> is_on = word != nullptr && std::string_view(word) == "on";
  return is_on;
}

}  // namespace

bool uses_fused() { return flag(); }

void set_fused(bool is_on) { flag() = is_on; }

bool uses_cuda_kernels() { return cuda_flag(); }

void set_cuda_kernels(bool is_on) { cuda_flag() = is_on; }

bool has_bf16_kernels() { return uses_fused() && kernels::has_avx512_bf16(); }

}  // namespace bertcram::nn
