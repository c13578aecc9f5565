// The CUDA kernels, thread by thread on the CPU: so indices, strides and barriers are tested without a GPU, in fp32; what nvcc makes
// of them is not.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bertcram/util/random.h"
#include "nn/cuda_on_cpu.h"
#include "util/test_support.h"

namespace bertcram::nn::kernels::cuda {
namespace {

constexpr unsigned kBlocks = 3;  // so that threads take several items
constexpr unsigned kThreadsOfBlock = 32;

TEST(CudaKernelsOnCpu, GeluReachesEveryNumberAndNoOther) {
  for (const int64_t count : {1, 3, 4, 5, 95, 96, 97, 1'003}) {
    SCOPED_TRACE(count);
    util::RandomStream random(test::test_seed());
    Buffer x(count, random, 4);
    Buffer gradient(count, random, 1);
    Buffer y(count);
    Buffer x_gradient(count);
    for_each_thread(kBlocks, kThreadsOfBlock, [&] { gelu_kernel(x.data(), count, y.data()); });
    for_each_thread(kBlocks, kThreadsOfBlock,
                    [&] { gelu_backward_kernel(x.data(), gradient.data(), count, x_gradient.data()); });
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(y[i], gelu_value(x[i])) << i;
      ASSERT_EQ(x_gradient[i], gradient[i] * gelu_slope(x[i])) << i;
    }
    EXPECT_TRUE(y.is_border_untouched());
    EXPECT_TRUE(x_gradient.is_border_untouched());
  }
}

TEST(CudaKernelsOnCpu, GegluTakesTheHalvesOfEachRow) {
  for (const int64_t ffn : {4, 8, 40}) {
    for (const int64_t rows : {1, 7, 100}) {
      SCOPED_TRACE(cat("ffn ", ffn, ", rows ", rows));
      util::RandomStream random(test::test_seed());
      Buffer x(rows * 2 * ffn, random, 4);
      Buffer gradient(rows * ffn, random, 1);
      Buffer y(rows * ffn);
      Buffer x_gradient(rows * 2 * ffn);
      for_each_thread(kBlocks, kThreadsOfBlock, [&] { geglu_kernel(x.data(), rows, ffn, y.data()); });
      for_each_thread(kBlocks, kThreadsOfBlock,
                      [&] { geglu_backward_kernel(x.data(), gradient.data(), rows, ffn, x_gradient.data()); });
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < ffn; ++i) {
          const int64_t at = row * 2 * ffn + i;
          const GatePair pair = {x[at], x[at + ffn]};
          const GatePair expected = geglu_gradient(pair, gradient[row * ffn + i]);
          ASSERT_EQ(y[row * ffn + i], geglu_value(pair)) << row << ' ' << i;
          ASSERT_EQ(x_gradient[at], expected.activated) << row << ' ' << i;
          ASSERT_EQ(x_gradient[at + ffn], expected.gate) << row << ' ' << i;
        }
      }
      EXPECT_TRUE(y.is_border_untouched());
      EXPECT_TRUE(x_gradient.is_border_untouched());
    }
  }
}

TEST(CudaKernelsOnCpu, RotationTurnsQueriesAndKeysByTheirPositionAlsoInPlace) {
  const QkvShape shape = {.tokens = 10, .seq = 5, .heads = 3, .half = 8};
  util::RandomStream random(test::test_seed());
  const int64_t count = shape.tokens * 3 * shape.heads * 2 * shape.half;
  Buffer qkv(count, random, 1);
  Buffer cosines(shape.seq * shape.half, random, 1);
  Buffer sines(shape.seq * shape.half, random, 1);
  Buffer out(count);
  for_each_thread(kBlocks, kThreadsOfBlock,
                  [&] { rotate_kernel(shape, qkv.data(), cosines.data(), sines.data(), out.data()); });
  int64_t at = 0;  // in the order of [token, part, head, component]
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (const bool is_turned : {true, true, false}) {
      for (int64_t head = 0; head < shape.heads; ++head, at += 2 * shape.half) {
        for (int64_t i = 0; i < shape.half; ++i) {
          const int64_t angle = token % shape.seq * shape.half + i;
          Pair expected = {qkv[at + i], qkv[at + shape.half + i]};
          if (is_turned) {
            expected = turned(expected, cosines[angle], sines[angle]);
          }
          ASSERT_EQ(out[at + i], expected.first) << at;
          ASSERT_EQ(out[at + shape.half + i], expected.second) << at;
        }
      }
    }
  }
  EXPECT_TRUE(out.is_border_untouched());
  for_each_thread(kBlocks, kThreadsOfBlock,
                  [&] { rotate_kernel(shape, qkv.data(), cosines.data(), sines.data(), qkv.data()); });
  EXPECT_TRUE(std::equal(out.data(), out.data() + count, qkv.data()));
}

TEST(CudaKernelsOnCpu, CrossEntropyTurnsEveryRowIntoItsErrors) {
  constexpr int64_t kRows = 5;                      // two and a half per block
  for (const int64_t vocab : {1, 33, 700, 5000}) {  // the last two in vectors
    SCOPED_TRACE(vocab);
    util::RandomStream random(test::test_seed());
    Buffer logits(kRows * vocab, random, 20);
    for (int64_t i = 0; i < kRows * vocab; ++i) {
      logits[i] -= 300;  // exp of it is 0 in fp32
    }
    Buffer given = logits;
    std::vector<int64_t> targets;
    for (int64_t row = 0; row < kRows; ++row) {
      targets.push_back(row * 131 % vocab);
    }
    Buffer losses(kRows);
    for_each_block(2, kRowThreads, [&] {
      cross_entropy_kernel(logits.data(), kRows, vocab, targets.data(), /*error_scale=*/8.0F, losses.data());
    });
    for (int64_t row = 0; row < kRows; ++row) {
      double sum = 0;
      for (int64_t i = 0; i < vocab; ++i) {
        sum += std::exp(static_cast<double>(given[row * vocab + i]));
      }
      const int64_t target = targets[static_cast<size_t>(row)];
      EXPECT_NEAR(losses[row], std::log(sum) - given[row * vocab + target], 1e-4) << row;
      for (int64_t i = 0; i < vocab; ++i) {
        const double softmax = std::exp(static_cast<double>(given[row * vocab + i])) / sum;
        ASSERT_NEAR(logits[row * vocab + i], 8 * (softmax - (i == target ? 1 : 0)), 5e-4) << row << ' ' << i;
      }
    }
    EXPECT_TRUE(logits.is_border_untouched());
    EXPECT_TRUE(losses.is_border_untouched());
  }
}

/// A row's normalised numbers and the gradient of Σ y · direction, in fp64.
struct ExactRow {
  std::vector<double> normed;
  std::vector<double> x_gradient;
};

ExactRow exact_row(const std::vector<double>& x, const std::vector<double>& y_gradient, Buffer& weight, double eps) {
  const auto hidden = static_cast<double>(x.size());
  double mean = 0;
  for (const double each : x) {
    mean += each / hidden;
  }
  double variance = 0;
  for (const double each : x) {
    variance += (each - mean) * (each - mean) / hidden;
  }
  const double spread = std::sqrt(variance + eps);
  ExactRow row;
  double mean_gradient = 0;
  double mean_along = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    row.normed.push_back((x[i] - mean) / spread);
    const double gradient = y_gradient[i] * weight[static_cast<int64_t>(i)];
    mean_gradient += gradient / hidden;
    mean_along += gradient * row.normed[i] / hidden;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const double gradient = y_gradient[i] * weight[static_cast<int64_t>(i)];
    row.x_gradient.push_back((gradient - mean_gradient - row.normed[i] * mean_along) / spread);
  }
  return row;
}

TEST(CudaKernelsOnCpu, ColumnsAreSummedOverAllRows) {
  for (const int64_t rows : {1, 15, 16, 17, 100}) {
    for (const int64_t columns : {4, 128, 132, 400}) {
      for (const int64_t count : {1, 3}) {
        SCOPED_TRACE(cat("rows ", rows, ", columns ", columns, ", parts ", count));
        util::RandomStream random(test::test_seed());
        Buffer x(rows * columns, random, 1);
        Buffer parts(count * columns);
        Buffer sums(columns, random, 1);
        Buffer before = sums;
        const auto blocks_of_a_row = static_cast<unsigned>((columns / 4 + kWarp - 1) / kWarp);
        for_each_block(blocks_of_a_row * static_cast<unsigned>(count), kSumWarps * kWarp,
                       [&] { column_parts_kernel(x.data(), rows, columns, count, parts.data()); });
        for_each_block(static_cast<unsigned>((columns + kWarp - 1) / kWarp), kPartWarps * kWarp,
                       [&] { add_parts_kernel(parts.data(), count, columns, sums.data()); });
        for (int64_t column = 0; column < columns; ++column) {
          double expected = before[column];
          for (int64_t row = 0; row < rows; ++row) {
            expected += x[row * columns + column];
          }
          ASSERT_NEAR(sums[column], expected, 1e-5) << column;
        }
        EXPECT_TRUE(parts.is_border_untouched());
        EXPECT_TRUE(sums.is_border_untouched());
      }
    }
  }
}

TEST(CudaKernelsOnCpu, NormOfASumAndItsGradientsEqualFp64) {
  constexpr int64_t kRows = 5;
  constexpr float kEps = 1e-3F;
  constexpr int64_t kParts = 2;
  constexpr int kVectors = 3;
  constexpr unsigned kThreads = 64;  // so that a warp takes several rows, and some warps one more than others
  for (const int64_t hidden : {8, 300, 384}) {
    for (const bool has_branch : {false, true}) {
      SCOPED_TRACE(cat("hidden ", hidden, ", branch ", has_branch));
      util::RandomStream random(test::test_seed());
      Buffer x(kRows * hidden, random, 2);
      Buffer branch(kRows * hidden, random, 2);
      Buffer weight(hidden, random, 1);
      Buffer bias(hidden, random, 1);
      Buffer sum(kRows * hidden);
      Buffer y(kRows * hidden);
      Buffer means(kRows);
      Buffer inverse_spreads(kRows);
      const NormForward forward = {.x = x.data(),
                                   .branch = has_branch ? branch.data() : nullptr,
                                   .weight = weight.data(),
                                   .bias = has_branch ? bias.data() : nullptr,
                                   .sum = has_branch ? sum.data() : nullptr,
                                   .y = y.data(),
                                   .means = means.data(),
                                   .inverse_spreads = inverse_spreads.data(),
                                   .rows = kRows,
                                   .hidden = hidden,
                                   .eps = kEps};
      for_each_block(2, kThreads, [&] { norm_kernel<float, kVectors>(forward); });
      Buffer y_gradient(kRows * hidden, random, 1);
      Buffer residual(kRows * hidden, random, 1);
      Buffer x_gradient(kRows * hidden);
      Buffer weight_parts(kParts * hidden);
      Buffer bias_parts(kParts * hidden);
      const NormBackward backward = {.x = has_branch ? sum.data() : x.data(),
                                     .y_gradient = y_gradient.data(),
                                     .residual = has_branch ? residual.data() : nullptr,
                                     .weight = weight.data(),
                                     .means = means.data(),
                                     .inverse_spreads = inverse_spreads.data(),
                                     .x_gradient = x_gradient.data(),
                                     .weight_parts = weight_parts.data(),
                                     .bias_parts = bias_parts.data(),
                                     .weight_sums = nullptr,
                                     .bias_sums = has_branch ? bias.data() : nullptr,  // added to by another kernel
                                     .rows = kRows,
                                     .hidden = hidden,
                                     .parts = kParts};
      for_each_block(kParts, kThreads, [&] { norm_backward_kernel<float, kVectors>(backward); });
      std::vector<double> weight_gradient(static_cast<size_t>(hidden));
      std::vector<double> bias_gradient(static_cast<size_t>(hidden));
      for (int64_t row = 0; row < kRows; ++row) {
        std::vector<double> numbers;
        std::vector<double> direction;
        for (int64_t i = row * hidden; i < (row + 1) * hidden; ++i) {
          numbers.push_back(has_branch ? static_cast<double>(x[i] + branch[i]) : x[i]);
          direction.push_back(y_gradient[i]);
        }
        const ExactRow exact = exact_row(numbers, direction, weight, kEps);
        for (int64_t i = 0; i < hidden; ++i) {
          const auto column = static_cast<size_t>(i);
          const int64_t at = row * hidden + i;
          ASSERT_NEAR(y[at], exact.normed[column] * weight[i] + (has_branch ? bias[i] : 0), 1e-5) << at;
          ASSERT_NEAR(x_gradient[at], exact.x_gradient[column] + (has_branch ? residual[at] : 0), 1e-5) << at;
          weight_gradient[column] += direction[column] * exact.normed[column];
          bias_gradient[column] += direction[column];
        }
      }
      for (int64_t i = 0; i < hidden; ++i) {
        const auto column = static_cast<size_t>(i);
        ASSERT_NEAR(weight_parts[i] + weight_parts[hidden + i], weight_gradient[column], 2e-5) << i;
        if (has_branch) {
          ASSERT_NEAR(bias_parts[i] + bias_parts[hidden + i], bias_gradient[column], 2e-5) << i;
        } else {
          ASSERT_EQ(bias_parts[i], Buffer::kUntouched) << "there is no bias";
        }
      }
      for (Buffer* each : {&sum, &y, &means, &inverse_spreads, &x_gradient, &weight_parts, &bias_parts}) {
        EXPECT_TRUE(each->is_border_untouched());
      }
    }
  }
}

TEST(CudaKernelsOnCpu, AdamWUpdatesEveryNumberClearsTheGradientAndCopies) {
  constexpr int64_t kCount = 401;
  const AdamWStep step = {.learning_rate = 0.1F,
                          .beta1 = 0.9F,
                          .beta2 = 0.98F,
                          .epsilon = 1e-6F,
                          .weight_decay = 0.1F,
                          .correction1 = 0.1F,
                          .correction2_root = 0.2F,
                          .gradient_factor = 0.5F};
  util::RandomStream random(test::test_seed());
  Buffer masters(kCount, random, 1);
  Buffer gradients(kCount, random, 1);
  Buffer first(kCount, random, 1);
  Buffer second(kCount, random, 1);
  for (int64_t i = 0; i < kCount; ++i) {
    second[i] = std::abs(second[i]);
  }
  Buffer masters_before = masters;
  Buffer gradients_before = gradients;
  Buffer first_before = first;
  Buffer second_before = second;
  Buffer copy(kCount);
  const AdamWBuffers buffers = {.masters = masters.data(),
                                .gradients = gradients.data(),
                                .first_moments = first.data(),
                                .second_moments = second.data(),
                                .copy = copy.data(),
                                .count = kCount};
  for_each_thread(kBlocks, kThreadsOfBlock, [&] { adamw_kernel(step, buffers, copy.data()); });
  for (int64_t i = 0; i < kCount; ++i) {
    const AdamWNumber expected =
        updated(step, {masters_before[i], first_before[i], second_before[i]}, gradients_before[i]);
    ASSERT_EQ(masters[i], expected.master) << i;
    ASSERT_EQ(first[i], expected.first_moment) << i;
    ASSERT_EQ(second[i], expected.second_moment) << i;
    ASSERT_EQ(gradients[i], 0.0F) << i;
    ASSERT_EQ(copy[i], masters[i]) << i;
  }
  for (Buffer* each : {&masters, &gradients, &first, &second, &copy}) {
    EXPECT_TRUE(each->is_border_untouched());
  }
  for_each_thread(kBlocks, kThreadsOfBlock, [&] { adamw_kernel<float>(step, buffers, nullptr); });
}

}  // namespace
}  // namespace bertcram::nn::kernels::cuda
