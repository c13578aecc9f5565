#pragma once
// Device, number format and threads of a command that computes.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "bertcram/config/train_config.h"

namespace bertcram::train {

struct Runtime {
  at::Device device = at::kCPU;
  at::ScalarType compute_type = at::kFloat;
  int64_t threads = 1;
};

/// Chooses what `auto` means here: the GPU if one is usable; bf16 where the device has it in hardware, fp16 on a GPU that
/// has only that.
/// Loads LibTorch's CUDA half on the way, so that one executable serves machines with and without it.
/// @throws ResourceError if a device is asked for that is not there
Runtime resolve_runtime(const config::RuntimeConfig& config);

/// E.g. "cpu (2 threads), bf16".
std::string describe(const Runtime& runtime);

/// Of the GPU or CPU as it names itself, e.g. "NVIDIA GeForce RTX 3060 Ti"; empty if it does not.
std::string device_model(const Runtime& runtime);

/// Seeds LibTorch's generators of all devices: samples of a generator and, on a GPU, dropout draw from them.
void seed_generators(uint64_t seed);

/// Largest memory used so far, or since the last reset: of the allocator on a GPU, of the process on the CPU, whose memory that
/// lies idle a reset gives back first.
int64_t peak_memory_bytes(const Runtime& runtime);
void reset_peak_memory(const Runtime& runtime);

}  // namespace bertcram::train
