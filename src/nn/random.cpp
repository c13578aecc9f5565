#include "bertcram/nn/random.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>
#include <utility>

#include "bertcram/util/error.h"

namespace bertcram::nn {
namespace {

/// Two independent draws from N(0, standard_deviation), by Box and Muller (1958).
std::pair<double, double> normal_pair(double standard_deviation, util::RandomStream& random) {
  const double radius = standard_deviation * std::sqrt(-2.0 * std::log1p(-random.uniform()));
  const double angle = 2.0 * std::numbers::pi * random.uniform();
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace

at::Tensor normal_tensor(const std::vector<int64_t>& shape, double standard_deviation, util::RandomStream random) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* out = tensor.data_ptr<float>();
  const int64_t count = tensor.numel();
  for (int64_t i = 0; i < count; i += 2) {
    const auto [first, second] = normal_pair(standard_deviation, random);
    out[i] = static_cast<float>(first);
    if (i + 1 < count) {
      out[i + 1] = static_cast<float>(second);
    }
  }
  return tensor;
}

at::Tensor truncated_normal_tensor(const std::vector<int64_t>& shape, double standard_deviation,
                                   util::RandomStream random) {
  constexpr double kCutoff = 2.0;
  BC_CHECK(standard_deviation >= 0, standard_deviation);  // otherwise no draw would ever do
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* out = tensor.data_ptr<float>();
  float* const end = out + tensor.numel();
  while (out != end) {
    const auto [first, second] = normal_pair(standard_deviation, random);
    for (const double draw : {first, second}) {
      if (std::abs(draw) <= kCutoff * standard_deviation && out != end) {
        *out++ = static_cast<float>(draw);
      }
    }
  }
  return tensor;
}

}  // namespace bertcram::nn
