#pragma once

#include "bertcram/config/train_config.h"
#include "bertcram/plan/machine.h"

namespace bertcram::train {

/// What this machine offers to training with these settings: rates of large products and of memory, in some two seconds.
/// @throws ConfigError, ResourceError as training would
plan::Machine measure_machine(const config::RuntimeConfig& config);

}  // namespace bertcram::train
