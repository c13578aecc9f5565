#include "bertcram/train/machine_facts.h"

#include "bertcram/config/train_config.h"
#include "bertcram/nn/fused.h"
#include "bertcram/train/runtime.h"
#include "devices.h"
#include "proc_bytes.h"

namespace bertcram::train {

MachineFacts inspect_machine() {
  const Runtime runtime = set_up_runtime(config::RuntimeConfig());
  return {.cpu = cpu_model(),
          .threads = runtime.threads,
          .has_bf16_kernels = nn::has_bf16_kernels(),
          .has_fp32_kernels = nn::has_fp32_kernels(),
          .memory_bytes = proc_bytes("/proc/meminfo", "MemTotal:"),
          .free_bytes = proc_bytes("/proc/meminfo", "MemAvailable:"),
          .gpu = first_gpu(),
          .uses_gpu = !runtime.device.is_cpu(),
          .runtime = describe(runtime)};
}

}  // namespace bertcram::train
