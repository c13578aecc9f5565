#include "bertcram/train/runtime.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>

#include "allocator_settings.h"
#include "bertcram/nn/fp16_accumulation.h"
#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/text.h"
#include "cpu_allocator.h"
#include "devices.h"
#include "proc_bytes.h"

namespace bertcram::train {
namespace {

using config::DeviceKind;
using config::Precision;

constexpr int kFirstCapabilityWithBf16 = 80;  // Ampere; Turing has fp16 alone

/// For LibTorch's allocator, which reads it when it is loaded, and PYTORCH_ALLOC_CONF only where this is not there.
void limit_gpu_memory(int64_t bytes, const Gpu& gpu) {
  constexpr const char* kSettings = "PYTORCH_CUDA_ALLOC_CONF";
  const char* own = std::getenv(kSettings);
  own = own != nullptr ? own : std::getenv("PYTORCH_ALLOC_CONF");
  const double share = std::min(1.0, static_cast<double>(bytes) / static_cast<double>(gpu.memory_bytes));
  ::setenv(kSettings, with_memory_share(own != nullptr ? own : "", share).c_str(), /*replace=*/1);
}

/// For all that the process allocates from now on. What malloc's users free has to go back to the system, or nothing would be
/// left for what does not come from malloc, such as the code of oneDNN's kernels: glibc keeps large blocks, and more of them
/// the larger they are, unless its threshold is set.
void limit_process_memory(int64_t bytes) {
  constexpr int kMappedFromBytes = 1 << 20;
  ::mallopt(M_MMAP_THRESHOLD, kMappedFromBytes);
  ::mallopt(M_TRIM_THRESHOLD, kMappedFromBytes);
  rlimit data{};
  ::getrlimit(RLIMIT_DATA, &data);
  data.rlim_cur = std::min(static_cast<rlim_t>(bytes), data.rlim_max);
  ::setrlimit(RLIMIT_DATA, &data);
}

/// Loads LibTorch's CUDA half, which registers its kernels; false if it or its libraries are not installed, or the driver is too old.
bool load_cuda_half() {
  static const bool loaded = ::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  return loaded && at::hasCUDA();
}

/// Why the GPU cannot be used, and what to do about it; empty if it can.
std::string obstacle_to_cuda(const std::optional<Gpu>& gpu) {
  if (!gpu) {
    return "no NVIDIA GPU with a working driver found; see 'nvidia-smi'";
  }
  if (gpu->capability < kFirstCapability) {
    return cat(gpu->name.empty() ? "the GPU" : gpu->name,
               " is older than the RTX 20 cards, and this LibTorch has no kernels for it; take another card");
  }
  if (!load_cuda_half()) {
    return "there is a GPU, but LibTorch's CUDA libraries are not installed (run ./scripts/setup.sh on this machine), "
           "or the driver is older than 580 (see 'nvidia-smi')";
  }
  return "";
}

/// @param obstacle  to the GPU, if it is not to be the CPU anyway
at::Device choose_device(DeviceKind wanted, const std::string& obstacle) {
  if (wanted == DeviceKind::kCuda && !obstacle.empty()) {
    throw ResourceError(cat("runtime.device=cuda: ", obstacle, ", or use runtime.device=cpu"));
  }
  return wanted == DeviceKind::kCpu || !obstacle.empty() ? at::Device(at::kCPU) : at::Device(at::kCUDA, 0);
}

bool has_fast_bf16(const at::Device& device, const std::optional<Gpu>& gpu) {
  if (device.is_cuda()) {
    return gpu->capability >= kFirstCapabilityWithBf16;
  }
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

at::ScalarType choose_type(Precision wanted, const at::Device& device, const std::optional<Gpu>& gpu) {
  switch (wanted) {
    case Precision::kFp32: return at::kFloat;
    case Precision::kBf16: return at::kBFloat16;
    case Precision::kFp16: return at::kHalf;
    case Precision::kAuto: break;
  }
  if (has_fast_bf16(device, gpu)) {
    return at::kBFloat16;
  }
  return device.is_cuda() ? at::kHalf : at::kFloat;
}

/// What a configuration means on this machine; changes nothing.
Runtime choose_runtime(const config::RuntimeConfig& config, const std::optional<Gpu>& gpu,
                       const std::string& obstacle) {
  Runtime runtime;
  runtime.device = choose_device(config.device, obstacle);
  runtime.compute_type = choose_type(config.precision, runtime.device, gpu);
  runtime.threads = util::thread_count(config.threads);
  if (config.fp16_accumulation && !(runtime.device.is_cuda() && runtime.compute_type == at::kHalf)) {
    throw ConfigError(
        cat("runtime.fp16_accumulation is for runtime.precision=fp16 on a GPU; this is ", describe(runtime)));
  }
  return runtime;
}

std::optional<int64_t> memory_limit_of(const config::RuntimeConfig& config) {
  constexpr int64_t kLeastMemory = int64_t{64} << 20;
  const auto limit = util::parse_bytes(config.memory_limit);
  if (limit && *limit < kLeastMemory) {
    throw ConfigError(
        cat("runtime.memory_limit ", config.memory_limit, " is too little for any model; give e.g. 8GiB"));
  }
  return limit;
}

/// All but the limit of a GPU's memory, which has to be there earlier.
void change_process(const config::RuntimeConfig& config, const Runtime& runtime, std::optional<int64_t> limit) {
  if (runtime.device.is_cpu()) {
    if (limit) {
      limit_process_memory(*limit);
    }
    keep_freed_memory(limit);
  }
  nn::set_fp16_accumulation(config.fp16_accumulation);
  at::globalContext().setFloat32MatmulPrecision(config.tf32 ? "high" : "highest");
  at::set_num_threads(static_cast<int>(runtime.threads));
}

}  // namespace

Runtime set_up_runtime(const config::RuntimeConfig& config) {
  const auto limit = memory_limit_of(config);
  const auto gpu = config.device == DeviceKind::kCpu ? std::nullopt : first_gpu();
  if (limit && gpu) {
    limit_gpu_memory(*limit, *gpu);  // before the CUDA half, and its allocator, are loaded
  }
  const std::string obstacle = config.device == DeviceKind::kCpu ? "" : obstacle_to_cuda(gpu);
  const Runtime runtime = choose_runtime(config, gpu, obstacle);
  if (runtime.device.is_cuda()) {
    nn::require_cuda_kernels();
  } else if (gpu) {
    util::log_warning("runtime", cat(obstacle, "; using the CPU"));
  }
  change_process(config, runtime, limit);
  return runtime;
}

std::string describe(const Runtime& runtime) {
  const std::string device = runtime.device.is_cuda() ? "cuda" : cat("cpu (", runtime.threads, " threads)");
  return device + (runtime.compute_type == at::kFloat  ? ", fp32"
                   : runtime.compute_type == at::kHalf ? ", fp16"
                                                       : ", bf16");
}

std::string device_model(const Runtime& runtime) {
  if (runtime.device.is_cpu()) {
    return cpu_model();
  }
  const auto gpu = first_gpu();
  return gpu ? gpu->name : "";
}

void seed_generators(uint64_t seed) { at::manual_seed(seed); }

int64_t peak_memory_bytes(const Runtime& runtime) {
  if (runtime.device.is_cuda()) {
    const auto stats = at::accelerator::getDeviceStats(runtime.device.index());
    return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  }
  return proc_bytes("/proc/self/status", "VmHWM:");  // unlike getrusage's, not inherited from the process before
}

void reset_peak_memory(const Runtime& runtime) {
  if (runtime.device.is_cuda()) {
    at::accelerator::resetPeakStats(runtime.device.index());
    return;
  }
  give_back_freed_memory();
  std::ofstream("/proc/self/clear_refs") << "5";  // proc(5): VmHWM becomes what is resident now
}

}  // namespace bertcram::train
