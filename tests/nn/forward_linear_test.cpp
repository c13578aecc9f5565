// The forward product of linear maps in fp32, by our own kernels and by LibTorch's product.

#include "nn/forward_linear.h"

#include <ATen/Parallel.h>

#include <array>
#include <limits>
#include <vector>

#include "bertcram/nn/fused.h"
#include "nn/kernel_support.h"
#include "nn/kernels/fp32.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using kernels::InstructionSet;
using test::near;
using test::random_tensor;
using test::same_bits;

/// x, weight and bias in fp64; multiplied after they were rounded to fp32.
struct Problem {
  at::Tensor x;
  at::Tensor weight;
  at::Tensor bias;

  at::Tensor expected() const { return at::matmul(x, weight.t()) + bias; }
};

at::Tensor rounded(const at::Tensor& numbers) { return numbers.to(at::kFloat).to(at::kDouble); }

Problem random_problem(util::RandomStream& random, int64_t tokens, int64_t in, int64_t out) {
  return {.x = rounded(random_tensor(random, {tokens, in})),
          .weight = rounded(random_tensor(random, {out, in})),
          .bias = rounded(random_tensor(random, {out}))};
}

at::Tensor forward(const Problem& problem) {
  return forward_linear(problem.x.to(at::kFloat), problem.weight.to(at::kFloat), problem.bias.to(at::kFloat));
}

/// Of the columns that are a multiple of 16, by the kernel in one block.
at::Tensor by_kernel(const Problem& problem) {
  const at::Tensor x = problem.x.to(at::kFloat);
  const at::Tensor weight = problem.weight.to(at::kFloat);
  const at::Tensor bias = problem.bias.to(at::kFloat);
  const int64_t columns = weight.size(0) / 16 * 16;
  const at::Tensor y = at::empty({x.size(0), weight.size(0)});
  kernels::fp32_kernels().linear_forward(x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                                         bias.const_data_ptr<float>(), weight.size(0), weight.size(1),
                                         {.rows_end = x.size(0), .columns_end = columns}, y.mutable_data_ptr<float>());
  return y.slice(1, 0, columns);
}

/// Of sums of some hundred products of numbers up to 1.
constexpr double kTolerance = 1e-4;

using ForwardLinear = test::WithFp32Kernels;
using ForwardLinearProperty = test::WithFp32Kernels;

INSTANTIATE_TEST_SUITE_P(Kernels, ForwardLinear, test::WithFp32Kernels::all(), test::WithFp32Kernels::name_of);
INSTANTIATE_TEST_SUITE_P(Kernels, ForwardLinearProperty, test::WithFp32Kernels::all(), test::WithFp32Kernels::name_of);

// Tokens around tiles of 6 and blocks of 72 rows, inner numbers around blocks of 256, columns around panels of 16 and 64 and blocks
// of 512; and columns that are no whole registers.
TEST_P(ForwardLinearProperty, EqualsFp64) {
  util::RandomStream random(test::test_seed());
  SCOPED_TRACE(test::seed_note(test::test_seed()));
  for (const auto& [tokens, in, out] : std::vector<std::array<int64_t, 3>>{{32, 16, 16},
                                                                           {37, 32, 48},
                                                                           {73, 256, 80},
                                                                           {145, 272, 128},
                                                                           {40, 784, 336},
                                                                           {32, 16, 1104},
                                                                           {77, 48, 530},
                                                                           {35, 64, 21}}) {
    SCOPED_TRACE(cat(tokens, " × ", in, " × ", out));
    const Problem problem = random_problem(random, tokens, in, out);
    const at::Tensor y = forward(problem);
    EXPECT_TRUE(near(y, problem.expected(), kTolerance));
    EXPECT_TRUE(same_bits(y.slice(1, 0, out / 16 * 16), by_kernel(problem))) << "by LibTorch's product, then";
    EXPECT_TRUE(near(forward_linear(problem.x.to(at::kFloat), problem.weight.to(at::kFloat), at::Tensor()),
                     problem.expected() - problem.bias, kTolerance));
  }
}

TEST_P(ForwardLinear, KeepsTheDimensionsOfAnyLayout) {
  util::RandomStream random(test::test_seed());
  const Problem problem = random_problem(random, 60, 32, 48);
  const at::Tensor x = problem.x.view({5, 12, 32}).transpose(0, 1).contiguous().transpose(0, 1).to(at::kFloat);
  ASSERT_FALSE(x.is_contiguous());
  const at::Tensor y = forward_linear(x, problem.weight.to(at::kFloat), problem.bias.to(at::kFloat));
  EXPECT_TRUE(near(y, problem.expected().view({5, 12, 48}), kTolerance));
}

class WithThreads {
 public:
  explicit WithThreads(int threads) { at::set_num_threads(threads); }
  ~WithThreads() { at::set_num_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_ = at::get_num_threads();
};

TEST_P(ForwardLinear, HasTheSameBitsOnAnyNumberOfThreads) {
  util::RandomStream random(test::test_seed());
  const Problem problem = random_problem(random, 150, 272, 160);
  const at::Tensor expected = by_kernel(problem);
  // One block, two of columns, two by two, and seven of rows, for 7 is a prime.
  for (const int threads : {1, 2, 4, 7}) {
    const WithThreads guard(threads);
    EXPECT_TRUE(same_bits(forward(problem), expected)) << threads;
  }
}

// Of 80 columns of NaN around the block nothing is touched.
TEST_P(ForwardLinear, ABlockIsWrittenAlone) {
  util::RandomStream random(test::test_seed());
  const Problem problem = random_problem(random, 40, 16, 80);
  const at::Tensor x = problem.x.to(at::kFloat);
  const at::Tensor weight = problem.weight.to(at::kFloat);
  const at::Tensor y = at::full({40, 80}, std::numeric_limits<float>::quiet_NaN());
  kernels::fp32_kernels().linear_forward(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), nullptr, 80, 16,
                                         {.rows_begin = 5, .rows_end = 31, .columns_begin = 16, .columns_end = 48},
                                         y.mutable_data_ptr<float>());
  const at::Tensor block = y.slice(0, 5, 31).slice(1, 16, 48);
  EXPECT_TRUE(near(block, (problem.expected() - problem.bias).slice(0, 5, 31).slice(1, 16, 48), kTolerance));
  EXPECT_EQ(y.isnan().sum().item<int64_t>(), y.numel() - block.numel());
}

TEST_P(ForwardLinear, FewTokensAndOddWidthsAreLibTorchs) {
  util::RandomStream random(test::test_seed());
  for (const auto& [tokens, in, out] : std::vector<std::array<int64_t, 3>>{{31, 32, 32}, {40, 20, 32}, {40, 32, 9}}) {
    const Problem problem = random_problem(random, tokens, in, out);
    EXPECT_TRUE(same_bits(forward(problem), at::linear(problem.x.to(at::kFloat), problem.weight.to(at::kFloat),
                                                       problem.bias.to(at::kFloat))));
  }
}

TEST(Fp32Products, AreOursOnlyWhereTheyAreFasterUnlessAskedFor) {
  EXPECT_TRUE(kernels::is_faster_than_mkl(true, InstructionSet::kAvx2));
  EXPECT_FALSE(kernels::is_faster_than_mkl(false, InstructionSet::kAvx2)) << "Intel's";
  EXPECT_FALSE(kernels::is_faster_than_mkl(true, InstructionSet::kAvx512)) << "not measured";
  const test::WithFusing fusing(Fusing::kWhereFaster);
  EXPECT_EQ(uses_fp32_products(), kernels::has_fast_fp32_products());
  kernels::allow_fp32_instructions(InstructionSet::kNeither);
  EXPECT_FALSE(uses_fp32_products());
  set_fusing(Fusing::kEverywhere);
  EXPECT_FALSE(uses_fp32_products());
  kernels::allow_fp32_instructions(InstructionSet::kAvx512);
  EXPECT_EQ(uses_fp32_products(), kernels::has_fp32_kernels());
  set_fusing(Fusing::kOff);
  EXPECT_FALSE(uses_fp32_products());
}

// In bf16 and fp64, where there is no such kernel.
TEST(ForwardLinearOfOtherTypes, IsLibTorchs) {
  const test::WithFusing fusing(Fusing::kEverywhere);
  util::RandomStream random(test::test_seed());
  const Problem problem = random_problem(random, 40, 32, 32);
  for (const at::ScalarType type : {at::kBFloat16, at::kDouble}) {
    const at::Tensor x = problem.x.to(type);
    const at::Tensor weight = problem.weight.to(type);
    const at::Tensor bias = problem.bias.to(type);
    EXPECT_TRUE(same_bits(forward_linear(x, weight, bias), at::linear(x, weight, bias)));
  }
}

}  // namespace
}  // namespace bertcram::nn
