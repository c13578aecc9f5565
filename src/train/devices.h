#pragma once
// What a machine has to compute with, as drivers and the kernel tell it.

#include <optional>
#include <string>

#include "bertcram/train/machine_facts.h"

namespace bertcram::train {

/// The first GPU; nullopt without one, or without a working driver. Asked through libcuda directly, so that a CPU-only installation
/// needs no CUDA library.
std::optional<Gpu> first_gpu();

/// As proc(5) has it for x86; empty elsewhere, where processors have no line for it.
std::string cpu_model();

}  // namespace bertcram::train
