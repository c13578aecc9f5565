#include "bertcram/train/measure_machine.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/ones.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>

#include "bertcram/nn/fused.h"
#include "bertcram/train/runtime.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "proc_bytes.h"
#include "roofline.h"

namespace bertcram::train {
namespace {

/// Bytes read and written per second by additions too large for any cache.
double memory_rate(const Runtime& runtime) {
  constexpr int64_t kNumbers = int64_t{1} << 25;
  constexpr double kTouches = 3;  // two read, one written
  constexpr int kRuns = 7;
  const auto options = at::TensorOptions().dtype(at::kFloat).device(runtime.device);
  at::Tensor sum = at::ones({kNumbers}, options);
  const at::Tensor other = at::ones({kNumbers}, options);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    sum.add_(other);
    if (!runtime.device.is_cpu()) {
      at::accelerator::synchronizeDevice(runtime.device.index());
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, kTouches * sizeof(float) * static_cast<double>(kNumbers) / seconds.count());
  }
  return best;
}

/// What is free and what this process has taken already.
int64_t usable_gpu_memory(const at::Device& device) {
  const at::Tensor first = at::ones({1}, device);  // before there is one, the allocator has no figures of this device
  const auto stats = at::accelerator::getDeviceStats(device.index());
  const int64_t reserved =
      stats.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].current;
  return static_cast<int64_t>(at::accelerator::getMemoryInfo(device.index()).first) + reserved;
}

config::Precision precision_of(at::ScalarType type) {
  using config::Precision;
  return type == at::kFloat ? Precision::kFp32 : type == at::kHalf ? Precision::kFp16 : Precision::kBf16;
}

}  // namespace

plan::Machine measure_machine(const config::RuntimeConfig& config) {
  const c10::NoGradGuard no_grad;
  config::RuntimeConfig unlimited = config;  // what is measured needs some hundred MiB
  unlimited.memory_limit.clear();
  const Runtime runtime = set_up_runtime(unlimited);
  require_fast_products(runtime);
  const bool is_gpu = !runtime.device.is_cpu();
  const bool is_bf16 = !is_gpu && runtime.compute_type == at::kBFloat16;
  const auto limit = util::parse_bytes(config.memory_limit);
  const int64_t own = is_gpu ? 0 : proc_bytes("/proc/self/status", "VmRSS:");
  const int64_t memory =
      is_gpu ? usable_gpu_memory(runtime.device) : proc_bytes("/proc/meminfo", "MemAvailable:") + own;
  return {.name = is_gpu ? "this machine's GPU" : cat("this machine, ", runtime.threads, " threads"),
          .model = device_model(runtime),
          .is_gpu = is_gpu,
          .precision = precision_of(runtime.compute_type),
          .threads = runtime.threads,
          .memory_bytes = std::min(memory, limit.value_or(memory)),
          .own_bytes = own,
          .flops = measured_roofline(runtime),
          .bytes_per_second = memory_rate(runtime),
          .has_kernels = is_bf16 && nn::has_bf16_kernels(),
          .has_product_kernels = is_bf16 && nn::uses_bf16_products(),
          .sums_gradients =
              is_bf16 ? nn::uses_bf16_products() : !is_gpu && runtime.compute_type == at::kFloat && nn::uses_fused(),
          .is_measured = true,
          .is_limited = limit.value_or(memory) < memory};
}

}  // namespace bertcram::train
