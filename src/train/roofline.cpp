#include "roofline.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "bertcram/util/error.h"

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

double product_seconds(at::Tensor& product, const at::Tensor& left, const at::Tensor& right, const Runtime& runtime) {
  const auto start = std::chrono::steady_clock::now();
  at::mm_out(product, left, right);
  if (!runtime.device.is_cpu()) {
    at::accelerator::synchronizeDevice(runtime.device.index());
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double product_operations(int64_t rows, int64_t inner, int64_t columns) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(inner) * static_cast<double>(columns);
}

/// Any numbers, the same each time.
at::Tensor square_matrix(int64_t size, const Runtime& runtime) {
  const auto options = at::TensorOptions().dtype(at::kFloat).device(runtime.device);
  return at::arange(size * size, options).sin().view({size, size}).to(runtime.compute_type);
}

/// The best of several: others on the machine can only take away. Of fewer where one takes long.
double least_seconds(const ProductShape& shape, const Runtime& runtime) {
  constexpr int kMostRuns = 7;
  constexpr double kSeconds = 0.75;
  const auto options = at::TensorOptions().dtype(runtime.compute_type).device(runtime.device);
  const at::Tensor left = at::empty({shape.rows, shape.inner}, options).uniform_(-1, 1);
  const at::Tensor right = at::empty({shape.inner, shape.columns}, options).uniform_(-1, 1);
  constexpr int64_t kFirstRows = 64;
  at::mm(left.narrow(0, 0, kFirstRows),
         right);  // libraries start up; all rows take seconds in a format known by name only
  at::Tensor product = at::empty({shape.rows, shape.columns}, options);
  double least = std::numeric_limits<double>::infinity();
  double spent = 0;
  for (int run = 0; run < kMostRuns && spent < kSeconds; ++run) {
    const double seconds = product_seconds(product, left, right, runtime);
    least = std::min(least, seconds);
    spent += seconds;
  }
  return least;
}

}  // namespace

void require_fast_products(const Runtime& runtime) {
  if (runtime.device.is_cpu() && runtime.compute_type == at::kHalf) {
    throw ConfigError("fp16 on a CPU is for tests: hundreds of times slower than fp32; use --precision fp32 or bf16");
  }
}

double quick_roofline(const Runtime& runtime) {
  constexpr double kSeconds = 0.25;
  constexpr int kMostRuns = 30;
  const c10::NoGradGuard no_grad;
  const int64_t largest = runtime.device.is_cpu() ? 1024 : 4096;
  int64_t size = runtime.device.is_cpu() ? 128 : largest;  // a CPU may know the format by name only: fp16, bf16
  at::Tensor factor = square_matrix(size, runtime);
  at::Tensor product = at::mm(factor, factor);
  double best = 0;
  double spent = 0;
  for (int run = 0; run < kMostRuns && spent < kSeconds; ++run) {
    const double seconds = product_seconds(product, factor, factor, runtime);
    best = std::max(best, product_operations(size, size, size) / seconds);
    spent += seconds;
    if (size < largest && spent + 8 * seconds < kSeconds) {  // twice the size takes eight times as long
      size *= 2;
      factor = square_matrix(size, runtime);
      product = at::mm(factor, factor);
    }
  }
  return best;
}

double measured_roofline(const Runtime& runtime) {
  const c10::NoGradGuard no_grad;
  double best = 0;
  const auto measure = [&](const auto& shapes) {
    for (const ProductShape& shape : shapes) {
      const double operations = product_operations(shape.rows, shape.inner, shape.columns);
      best = std::max(best, operations / least_seconds(shape, runtime));
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
