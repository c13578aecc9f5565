#pragma once

#include "bertcram/train/runtime.h"

namespace bertcram::train {

/// @throws ConfigError for fp16 on a CPU, whose products LibTorch forms one number at a time: measuring would take hours
void require_fast_products(const Runtime& runtime);

/// Floating-point operations per second that large matrix products reach here in the runtime's number format: the fastest of
/// a few shapes and several runs each. Takes a second, or a few where products are slow.
double measured_roofline(const Runtime& runtime);

/// The same of square matrices, within a quarter of a second, so of smaller ones where products are slow: what `mfu` in
/// metrics.jsonl is a share of.
/// Draws no random numbers and leaves nothing behind that a run could depend on.
double quick_roofline(const Runtime& runtime);

}  // namespace bertcram::train
