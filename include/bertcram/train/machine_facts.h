#pragma once
// What training finds on a machine, without measuring anything.

#include <cstdint>
#include <optional>
#include <string>

namespace bertcram::train {

struct Gpu {
  std::string name = {};     ///< as its driver has it; may be empty
  int capability = 0;        ///< compute capability as in sm_75: 75 is Turing, 80 and 86 Ampere, 89 Ada
  int64_t memory_bytes = 0;  ///< all of it
};

/// sm_75, Turing: the first that CUDA 13, and with it this LibTorch, has kernels for.
constexpr int kFirstCapability = 75;

struct MachineFacts {
  std::string cpu;  ///< as it names itself; may be empty
  int64_t threads = 0;
  bool has_bf16_kernels = false;  ///< bertcram's own, for this processor
  bool has_fp32_kernels = false;
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;  ///< of memory
  std::optional<Gpu> gpu;  ///< the first, if there is a working driver
  bool uses_gpu = false;   ///< without LibTorch's CUDA libraries it does not
  std::string runtime;     ///< what training takes unless it is told otherwise, e.g. "cuda, bf16"
};

MachineFacts inspect_machine();

}  // namespace bertcram::train
