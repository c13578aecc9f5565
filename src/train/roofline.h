#pragma once

#include "bertcram/train/runtime.h"

namespace bertcram::train {

/// Floating-point operations per second that large matrix products reach here in the runtime's number format: the fastest of
/// a few shapes, median of several runs each. Takes about a second.
double measured_roofline(const Runtime& runtime);

}  // namespace bertcram::train
