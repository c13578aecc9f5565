#include "roofline.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

namespace bertcram::train {
namespace {

struct ProductShape {
  int64_t rows;
  int64_t inner;
  int64_t columns;
};

// Of the kind that a base model's layers have, and a cube. A GPU needs more to be full.
constexpr std::array<ProductShape, 3> kCpuShapes = {{{2048, 2048, 2048}, {4096, 768, 3072}, {1024, 3072, 1024}}};
constexpr std::array<ProductShape, 2> kGpuShapes = {{{8192, 8192, 8192}, {16'384, 768, 3072}}};

double median_seconds(const ProductShape& shape, const Runtime& runtime) {
  constexpr int kRuns = 7;
  const auto options = at::TensorOptions().dtype(runtime.compute_type).device(runtime.device);
  const at::Tensor left = at::empty({shape.rows, shape.inner}, options).uniform_(-1, 1);
  const at::Tensor right = at::empty({shape.inner, shape.columns}, options).uniform_(-1, 1);
  at::Tensor product = at::mm(left, right);
  std::vector<double> seconds;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    at::mm_out(product, left, right);
    if (!runtime.device.is_cpu()) {
      at::accelerator::synchronizeDevice(runtime.device.index());
    }
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::nth_element(seconds, seconds.begin() + kRuns / 2);
  return seconds[kRuns / 2];
}

}  // namespace

double measured_roofline(const Runtime& runtime) {
  const c10::NoGradGuard no_grad;
  double best = 0;
  const auto measure = [&](const auto& shapes) {
    for (const ProductShape& shape : shapes) {
      const double operations =
          2.0 * static_cast<double>(shape.rows) * static_cast<double>(shape.inner) * static_cast<double>(shape.columns);
      best = std::max(best, operations / median_seconds(shape, runtime));
    }
  };
  if (runtime.device.is_cpu()) {
    measure(kCpuShapes);
  } else {
    measure(kGpuShapes);
  }
  return best;
}

}  // namespace bertcram::train
