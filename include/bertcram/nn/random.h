#pragma once
// Random tensors as pure functions of a key: equal on every device, thread count and library version.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "bertcram/util/random.h"

namespace bertcram::nn {

/// fp32 on the CPU, N(0, standard_deviation).
at::Tensor normal_tensor(const std::vector<int64_t>& shape, double standard_deviation, util::RandomStream random);

/// The same, drawn again beyond two standard deviations.
at::Tensor truncated_normal_tensor(const std::vector<int64_t>& shape, double standard_deviation,
                                   util::RandomStream random);

}  // namespace bertcram::nn
