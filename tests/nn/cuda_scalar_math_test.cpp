// The mathematics of the CUDA kernels on the processor that runs the test, against fp64.

#include "nn/kernels/cuda/scalar_math.h"

#include <cmath>
#include <limits>
#include <vector>

#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "bertcram/util/shared_library.h"
#include "nn/cuda_kernels.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn::kernels::cuda {
namespace {

constexpr double kFloat = 1e-6;  // some units in the last place of fp32

double exact_below(double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }
double exact_slope(double x) { return exact_below(x) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI); }

TEST(CudaScalarMath, GeluAndItsSlopeEqualFp64) {
  for (double x = -8; x <= 8; x += 1.0 / 64) {
    const auto single = static_cast<float>(x);
    EXPECT_NEAR(gelu_value(single), x * exact_below(x), kFloat) << x;
    EXPECT_NEAR(gelu_slope(single), exact_slope(x), 4 * kFloat) << x;
  }
  EXPECT_EQ(gelu_value(1e30F), 1e30F);
  EXPECT_EQ(gelu_slope(1e30F), 1.0F);
  EXPECT_EQ(gelu_slope(-1e30F), 0.0F);
  EXPECT_TRUE(std::isnan(gelu_value(std::numeric_limits<float>::quiet_NaN())));
}

TEST(CudaScalarMath, GegluGradientIsTheFiniteDifference) {
  constexpr double kStep = 1e-3;
  const auto exact = [](double activated, double gate) { return activated * exact_below(activated) * gate; };
  for (const double activated : {-2.5, -0.7, 0.0, 0.4, 3.0}) {
    for (const double gate : {-1.5, 0.0, 2.0}) {
      const GatePair x = {static_cast<float>(activated), static_cast<float>(gate)};
      EXPECT_NEAR(geglu_value(x), exact(activated, gate), 4 * kFloat);
      const GatePair gradient = geglu_gradient(x, 3.0F);
      EXPECT_NEAR(gradient.activated,
                  3 * (exact(activated + kStep, gate) - exact(activated - kStep, gate)) / (2 * kStep), 1e-5);
      EXPECT_NEAR(gradient.gate, 3 * (exact(activated, gate + kStep) - exact(activated, gate - kStep)) / (2 * kStep),
                  1e-5);
    }
  }
}

TEST(CudaScalarMath, ARotationKeepsLengthsAndTurnsBack) {
  const float angle = 0.7F;
  const Pair there = turned({3.0F, -4.0F}, std::cos(angle), std::sin(angle));
  EXPECT_NEAR(there.first, 3 * std::cos(0.7) + 4 * std::sin(0.7), 4 * kFloat);
  EXPECT_NEAR(there.first * there.first + there.second * there.second, 25.0, 1e-5);
  const Pair back = turned(there, std::cos(angle), -std::sin(angle));
  EXPECT_NEAR(back.first, 3.0, 4 * kFloat);
  EXPECT_NEAR(back.second, -4.0, 4 * kFloat);
}

/// The sum of a row as a block of `threads` threads forms it: each strides through the row, then all are merged.
ExponentialSum block_sum(const std::vector<float>& row, size_t threads) {
  ExponentialSum all;
  for (size_t thread = 0; thread < threads; ++thread) {
    ExponentialSum mine;
    for (size_t i = thread; i < row.size(); i += threads) {
      mine = with_number(mine, row[i]);
    }
    all = merged(all, mine);
  }
  return all;
}

TEST(CudaScalarMathProperty, LossAndErrorsOfARowEqualFp64HoweverItIsCut) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (const size_t vocab : {size_t{1}, size_t{7}, size_t{512}, size_t{3000}}) {
    for (const double scale : {1.0, 80.0, 1e4}) {  // far beyond what exp takes
      std::vector<float> row(vocab);
      for (float& each : row) {
        each = static_cast<float>(scale * (2 * random.uniform() - 1));
      }
      double largest = row[0];
      for (const float each : row) {
        largest = std::max(largest, static_cast<double>(each));
      }
      double sum = 0;
      for (const float each : row) {
        sum += std::exp(each - largest);
      }
      for (const size_t threads : {size_t{1}, size_t{32}, size_t{512}}) {  // more threads than numbers too
        SCOPED_TRACE(cat("vocab ", vocab, ", scale ", scale, ", threads ", threads));
        const float log_sum = log_of(block_sum(row, threads));
        EXPECT_NEAR(log_sum, largest + std::log(sum), 2 * kFloat * (1 + std::abs(largest)));
        for (size_t i = 0; i < vocab; i += 5) {
          // The logarithm's own rounding shows in the exponent.
          EXPECT_NEAR(prediction_error(row[i], log_sum, i == 0), std::exp(row[i] - largest) / sum - (i == 0 ? 1 : 0),
                      2 * kFloat * (1 + std::abs(largest)));
        }
      }
    }
  }
}

TEST(CudaScalarMath, OneLogitThatIsNoNumberMakesTheLossNoNumber) {
  std::vector<float> row(100, 1.0F);
  row[57] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(log_of(block_sum(row, 32))));
}

TEST(CudaScalarMath, AdamWEqualsLibTorchs) {
  const auto options = at::TensorOptions(at::kDouble);
  at::Tensor weight = at::full({1}, 0.8, options);
  at::Tensor first = at::zeros({1}, options);
  at::Tensor second = at::zeros({1}, options);
  AdamWNumber ours = {0.8F, 0.0F, 0.0F};
  const double beta1 = 0.9;
  const double beta2 = 0.98;
  for (int step = 1; step <= 5; ++step) {
    const double gradient = 0.3 * step - 0.7;
    const at::Tensor steps = at::full({}, step, options);
    at::_fused_adamw_({weight}, {at::full({1}, gradient, options)}, {first}, {second}, {}, {steps}, /*lr=*/0.01, beta1,
                      beta2, /*weight_decay=*/0.1, /*eps=*/1e-6, /*amsgrad=*/false, /*maximize=*/false);
    const AdamWStep options_of_step = {.learning_rate = 0.01F,
                                       .beta1 = static_cast<float>(beta1),
                                       .beta2 = static_cast<float>(beta2),
                                       .epsilon = 1e-6F,
                                       .weight_decay = 0.1F,
                                       .correction1 = static_cast<float>(1 - std::pow(beta1, step)),
                                       .correction2_root = static_cast<float>(std::sqrt(1 - std::pow(beta2, step))),
                                       .gradient_factor = 0.25F};
    ours = updated(options_of_step, ours, static_cast<float>(4 * gradient));
    EXPECT_NEAR(ours.master, weight.item<double>(), 4 * kFloat) << step;
    EXPECT_NEAR(ours.first_moment, first.item<double>(), 4 * kFloat) << step;
    EXPECT_NEAR(ours.second_moment, second.item<double>(), 4 * kFloat) << step;
  }
}

// It has to load, and to name every kernel, on machines without a driver too.
TEST(CudaKernels, TheLibraryLoadsWithoutAGpu) {
#ifndef BERTCRAM_WITH_CUDA
  GTEST_SKIP() << "built without nvcc";
#endif
  const Kernels* kernels = cuda_kernels();
  ASSERT_NE(kernels, nullptr) << util::find_function(kLibrary, kGetKernels).problem;
  EXPECT_NE(kernels->gelu, nullptr);
  EXPECT_NE(kernels->gelu_backward, nullptr);
  EXPECT_NE(kernels->geglu, nullptr);
  EXPECT_NE(kernels->geglu_backward, nullptr);
  EXPECT_NE(kernels->rotate, nullptr);
  EXPECT_NE(kernels->cross_entropy, nullptr);
  EXPECT_NE(kernels->norm, nullptr);
  EXPECT_NE(kernels->norm_backward, nullptr);
  EXPECT_NE(kernels->adamw, nullptr);
}

TEST(CudaKernels, AreMissedOnlyWhereTheyAreAskedFor) {
  const bool was_on = uses_cuda_kernels();
  set_cuda_kernels(false);
  EXPECT_NO_THROW(require_cuda_kernels());
  set_cuda_kernels(true);
  if (cuda_kernels() == nullptr) {
    EXPECT_THROW(require_cuda_kernels(), ResourceError);
  } else {
    EXPECT_NO_THROW(require_cuda_kernels());
  }
  set_cuda_kernels(was_on);
}

}  // namespace
}  // namespace bertcram::nn::kernels::cuda
