#include "bertcram/nn/random.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>

namespace bertcram::nn {

/// By Box and Muller (1958).
at::Tensor normal_tensor(const std::vector<int64_t>& shape, double standard_deviation, util::RandomStream random) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* out = tensor.data_ptr<float>();
  const int64_t count = tensor.numel();
  for (int64_t i = 0; i < count; i += 2) {
    const double radius = standard_deviation * std::sqrt(-2.0 * std::log1p(-random.uniform()));
    const double angle = 2.0 * std::numbers::pi * random.uniform();
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < count) {
      out[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
  }
  return tensor;
}

}  // namespace bertcram::nn
