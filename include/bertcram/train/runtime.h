#pragma once
// Device, number format and threads of a command that computes, and its process made ready for them.

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

/// Chooses what `auto` means here (the GPU if one is usable; bf16 where the device has it in hardware, fp16 on a GPU that
/// has only that) and makes the process ready for it. To be called before other threads use tensors; the last call holds,
/// except that a memory limit stays until another one is given. What it changes:
/// - number of LibTorch's threads, precision of fp32 products (runtime.tf32), nn::set_fp16_accumulation;
/// - unless the CPU is asked for, LibTorch's CUDA half is loaded where it is installed, so that one executable serves machines
///   with and without it;
/// - on the CPU, LibTorch's tensors get blocks that were freed before (cpu_allocator.h);
/// - runtime.memory_limit is on the CPU RLIMIT_DATA and malloc's thresholds, on a GPU a share in PYTORCH_CUDA_ALLOC_CONF, beside
///   the user's settings there; LibTorch reads these once, as the CUDA half is loaded: the first limit of a process holds.
/// @throws ResourceError if a device is asked for that is not there, or its own kernels are and cannot be loaded
/// @throws ConfigError if the memory limit is too little for any model, or fp16_accumulation is set for another device or type
/// After an error the CUDA half may be loaded, and its limit set; nothing else is changed. Pinned by: tests/train/runtime_test.cpp
Runtime set_up_runtime(const config::RuntimeConfig& config);

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
