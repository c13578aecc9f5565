#pragma once

#include <string>
#include <string_view>

namespace bertcram::train {

/// Settings of LibTorch's allocator for GPUs, "name:value,name:value" as PYTORCH_CUDA_ALLOC_CONF has them, with
/// per_process_memory_fraction as given instead of any that were there; the others stay as they are. Done twice is done once.
/// @param share  of the GPU's memory, 0..1
std::string with_memory_share(std::string_view settings, double share);

}  // namespace bertcram::train
