// Attention against its formula, written out, in every layout.

#include "bertcram/nn/attention.h"

#include <ATen/ops/isnan.h>
#include <torch/csrc/autograd/function.h>

#include <array>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "nn/kernel_support.h"
#include "nn/kernels/bf16.h"
#include "nn/kernels/fp32.h"
#include "nn/tensor_support.h"
#include "nn/with_fusing.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

/// softmax(q kᵀ / sqrt(head_dim) + bias) v, head by head. @param qkv [batch, seq, 3 * hidden]
at::Tensor explicit_attention(const at::Tensor& qkv, const at::Tensor& bias, int64_t heads) {
  const int64_t hidden = qkv.size(2) / 3;
  const int64_t dim = hidden / heads;
  std::vector<at::Tensor> mixed;
  for (int64_t head = 0; head < heads; ++head) {
    const at::Tensor q = qkv.narrow(2, head * dim, dim);
    const at::Tensor k = qkv.narrow(2, hidden + head * dim, dim);
    const at::Tensor v = qkv.narrow(2, 2 * hidden + head * dim, dim);
    at::Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(dim));  // [batch, seq, seq]
    if (bias.defined()) {
      scores = scores + bias.squeeze(1);
    }
    mixed.push_back(at::matmul(at::softmax(scores, -1), v));
  }
  return at::cat(mixed, 2);
}

TEST(AttentionProperty, EqualsTheExplicitFormula) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (const int64_t heads : {1, 2, 4}) {
    const at::Tensor qkv = random_tensor(random, {3, 7, 3 * 8}, 2.0);
    EXPECT_TRUE(near(attention(qkv, {}, {.heads = heads}), explicit_attention(qkv, {}, heads), 1e-12)) << heads;
    EXPECT_TRUE(near(attention(qkv.to(at::kFloat), {}, {.heads = heads}), explicit_attention(qkv, {}, heads), 1e-5));
    EXPECT_TRUE(near(attention(qkv.to(at::kBFloat16), {}, {.heads = heads}), explicit_attention(qkv, {}, heads), 5e-2));
  }
}

TEST(AttentionProperty, GradientsEqualThoseOfTheExplicitFormula) {
  util::RandomStream random(test::test_seed());
  const at::Tensor values = random_tensor(random, {2, 5, 3 * 4});
  const at::Tensor weights = random_tensor(random, {2, 5, 4});
  const at::Tensor fused = test::leaf_of(values, at::kDouble);
  const at::Tensor plain = test::leaf_of(values, at::kDouble);
  (attention(fused, {}, {.heads = 2}) * weights).sum().backward();
  (explicit_attention(plain, {}, 2) * weights).sum().backward();
  EXPECT_TRUE(near(fused.grad(), plain.grad(), 1e-12));
}

TEST(AttentionProperty, PaddedRowsEqualThoseRowsAlone) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const std::vector<int64_t> lengths = {6, 1, 4, 5};
  const at::Tensor qkv = random_tensor(random, {4, 6, 3 * 8}, 2.0).to(at::kFloat);
  at::Tensor bias = at::zeros({4, 1, 1, 6});
  for (int64_t row = 0; row < 4; ++row) {
    bias[row]
        .narrow(2, lengths[static_cast<size_t>(row)], 6 - lengths[static_cast<size_t>(row)])
        .fill_(-std::numeric_limits<double>::infinity());
  }
  const at::Tensor padded = attention(qkv, {.bias = bias}, {.heads = 2});
  EXPECT_TRUE(near(padded, explicit_attention(qkv, bias, 2), 1e-5));
  for (int64_t row = 0; row < 4; ++row) {
    const int64_t length = lengths[static_cast<size_t>(row)];
    const at::Tensor alone = attention(qkv.narrow(0, row, 1).narrow(1, 0, length).contiguous(), {}, {.heads = 2});
    EXPECT_TRUE(near(padded.narrow(0, row, 1).narrow(1, 0, length), alone, 1e-5)) << row;
  }
}

TEST(AttentionProperty, SequencesInOneRowEqualThemAlone) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const std::vector<int64_t> starts = {0, 3, 6, 7, 12, 14};
  for (const int64_t reach : {int64_t{1}, int64_t{100}}) {
    const at::Tensor values = random_tensor(random, {1, 14, 3 * 8}, 2.0);
    const at::Tensor weights = random_tensor(random, {1, 14, 8});
    const at::Tensor together = test::leaf_of(values, at::kDouble);
    const at::Tensor bias = window_bias(5, reach, values.options());
    const at::Tensor mixed = attention(together, {.bias = bias, .cu_seqlens = starts}, {.heads = 2});
    (mixed * weights).sum().backward();
    const at::Tensor apart = test::leaf_of(values, at::kDouble);
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i + 1 < starts.size(); ++i) {
      const int64_t length = starts[i + 1] - starts[i];
      parts.push_back(
          explicit_attention(apart.narrow(1, starts[i], length), window_bias(length, reach, values.options()), 2));
    }
    const at::Tensor expected = at::cat(parts, 1);
    (expected * weights).sum().backward();
    EXPECT_TRUE(near(mixed, expected, 1e-12)) << reach;
    EXPECT_TRUE(near(together.grad(), apart.grad(), 1e-12)) << reach;
  }
}

TEST(Attention, AWindowIsAsWideOnBothSides) {
  const at::Tensor bias = window_bias(4, 1, at::kFloat).view({4, 4});
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t column = 0; column < 4; ++column) {
      const double expected = std::abs(row - column) <= 1 ? 0.0 : -std::numeric_limits<double>::infinity();
      EXPECT_EQ(bias[row][column].item<double>(), expected) << row << " " << column;
    }
  }
}

// Padding behind a short text is further from it than the window: without a key its softmax would be no number.
TEST(Attention, APaddedTokenOutOfReachOfTheTextSeesItself) {
  util::RandomStream random(1);
  const at::Tensor qkv = random_tensor(random, {1, 6, 3 * 4}).to(at::kFloat);
  at::Tensor key_bias = at::zeros({1, 1, 1, 6});
  key_bias.narrow(3, 2, 4).fill_(-std::numeric_limits<double>::infinity());
  const at::Tensor bias = window_of_padded(window_bias(6, 1, at::kFloat), key_bias);
  const at::Tensor mixed = attention(qkv, {.bias = bias}, {.heads = 2});
  EXPECT_TRUE(mixed.isfinite().all().item<bool>());
  EXPECT_TRUE(near(mixed.select(1, 5), qkv.select(1, 5).narrow(1, 8, 4), 1e-6)) << "its own value";
  EXPECT_TRUE(near(mixed.narrow(1, 0, 2), explicit_attention(qkv.narrow(1, 0, 2), {}, 2), 1e-5));
}

TEST(Attention, WrongShapesAreShapeErrors) {
  const at::Tensor qkv = at::zeros({2, 3, 12});
  EXPECT_THROW(attention(at::zeros({2, 3, 10}), {}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(at::zeros({2, 12}), {}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(qkv, {.bias = at::zeros({2, 1, 1, 4})}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(qkv, {.bias = at::zeros({2, 1, 2, 3})}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(qkv, {.bias = at::zeros({3, 3})}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(qkv, {.bias = at::ones({1, 1, 1, 3}, at::kBool)}, {.heads = 2}), ShapeError);
  EXPECT_THROW(attention(qkv, {.bias = at::ones({1, 1, 1, 3}).requires_grad_(true)}, {.heads = 2}), ShapeError);
  const std::vector<int64_t> starts = {0, 3};
  EXPECT_THROW(attention(qkv, {.cu_seqlens = starts}, {.heads = 2}), ShapeError) << "two rows";
  const at::Tensor row = at::zeros({1, 4, 12});
  EXPECT_THROW(attention(row, {.cu_seqlens = starts}, {.heads = 2}), ShapeError) << "not to the end";
  const std::vector<int64_t> whole = {0, 4};
  EXPECT_THROW(attention(row, {.bias = at::zeros({1, 1, 3, 3}), .cu_seqlens = whole}, {.heads = 2}), ShapeError);
}

/// Of the output of a query that may look at no key, and finite numbers everywhere.
void expect_zeros_without_a_key(at::ScalarType type) {
  util::RandomStream random(3);
  const at::Tensor qkv = test::leaf_of(random_tensor(random, {1, 20, 3 * 32}), type);
  at::Tensor bias = at::zeros({1, 1, 20, 20}, type);
  bias[0][0][2].fill_(-std::numeric_limits<double>::infinity());
  for (const double dropout : {0.0, 0.3}) {
    const at::Tensor mixed =
        attention(qkv, {.bias = bias}, {.heads = 1, .dropout = {.probability = dropout, .key = 7}});
    mixed.sum().backward();
    EXPECT_TRUE(near(mixed[0][2], at::zeros({32}), 0.0)) << dropout;
    EXPECT_TRUE(mixed.isfinite().all().item<bool>()) << dropout;
    EXPECT_TRUE(qkv.grad().isfinite().all().item<bool>()) << dropout;
  }
}

// What the kernels are compared with; fp64 has none.
TEST(Attention, AQueryWithoutAKeyIsZerosInTheReference) { expect_zeros_without_a_key(at::kDouble); }

/// Cosine of all numbers of two tensors; 1 - cosine is half the square of the relative error.
double cosine(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble).flatten();
  const at::Tensor y = b.to(at::kDouble).flatten();
  return (x.dot(y) / (x.norm() * y.norm())).item<double>();
}

/// Kernels of our own: their type, and the rounding errors of sums of some hundred numbers in it.
struct Kernels {
  std::string name;
  at::ScalarType type;
  kernels::InstructionSet fp32_instructions;  ///< of those for fp32
  double tolerance;                           ///< of numbers about 1
  double cosine_tolerance;
  int64_t head_dim_step;
};

void PrintTo(const Kernels& kernels, std::ostream* out) { *out << kernels.name; }

class FusedAttention : public ::testing::TestWithParam<Kernels> {
 protected:
  void SetUp() override {
    if (GetParam().type == at::kBFloat16 && !kernels::has_avx512_bf16()) {
      GTEST_SKIP() << "this processor has no AVX-512 BF16";
    }
    kernels::allow_fp32_instructions(GetParam().fp32_instructions);
    if (kernels::fp32_instructions() != GetParam().fp32_instructions) {
      GTEST_SKIP() << test::lack_of(GetParam().fp32_instructions);
    }
  }
  void TearDown() override { kernels::allow_fp32_instructions(kernels::InstructionSet::kAvx512); }

 private:
  test::WithFusing fusing_{Fusing::kEverywhere};
};

using FusedAttentionProperty = FusedAttention;

const std::vector<Kernels> kAllKernels = {
    {"Bf16", at::kBFloat16, kernels::fp32_instructions(), 4.0 / 256, 5e-5, 32},
    {"Fp32Avx2", at::kFloat, kernels::InstructionSet::kAvx2, 2e-6, 1e-12, 16},
    {"Fp32Avx512", at::kFloat, kernels::InstructionSet::kAvx512, 2e-6, 1e-12, 16},
};

std::string name_of(const ::testing::TestParamInfo<Kernels>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Kernels, FusedAttention, ::testing::ValuesIn(kAllKernels), name_of);
INSTANTIATE_TEST_SUITE_P(Kernels, FusedAttentionProperty, ::testing::ValuesIn(kAllKernels), name_of);

// Sequences around the kernels' registers of 8 and 16 keys and blocks of 128 queries; head widths around their panels.
TEST_P(FusedAttentionProperty, EqualsTheExplicitFormula) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  const at::ScalarType type = GetParam().type;
  for (const auto& [seq, heads, dim] : std::vector<std::array<int64_t, 3>>{{1, 1, 64},
                                                                           {7, 2, 32},
                                                                           {12, 3, 16},
                                                                           {16, 1, 96},
                                                                           {33, 2, 64},
                                                                           {45, 1, 80},
                                                                           {128, 2, 64},
                                                                           {129, 1, 128},
                                                                           {300, 2, 32}}) {
    if (dim % GetParam().head_dim_step != 0) {
      continue;
    }
    for (const std::string kind : {"none", "keys", "window", "both"}) {
      const int64_t batch = 3;
      const at::Tensor values = random_tensor(random, {batch, seq, 3 * heads * dim}, 1.5).to(type);
      const at::Tensor weights = random_tensor(random, {batch, seq, heads * dim}).to(type);
      at::Tensor keys = at::zeros({batch, 1, 1, seq}, type);
      if (seq > 2) {
        keys[1].narrow(2, seq / 2, seq - seq / 2).fill_(-std::numeric_limits<double>::infinity());
      }
      const at::Tensor window = window_bias(seq, 5, at::TensorOptions().dtype(type));
      const at::Tensor bias = kind == "none"     ? at::Tensor()
                              : kind == "keys"   ? keys
                              : kind == "window" ? window
                                                 : window_of_padded(window, keys);
      const at::Tensor fused = test::leaf_of(values, type);
      const at::Tensor plain = test::leaf_of(values, at::kDouble);
      const at::Tensor mixed = attention(fused, {.bias = bias}, {.heads = heads});
      (mixed * weights).sum().backward();
      const at::Tensor expected = explicit_attention(plain, bias.defined() ? bias.to(at::kDouble) : bias, heads);
      (expected * weights.to(at::kDouble)).sum().backward();
      SCOPED_TRACE(cat("seq ", seq, ", heads ", heads, ", head_dim ", dim, ", bias ", kind));
      EXPECT_NE(mixed.grad_fn()->name().find("FusedAttention"), std::string::npos) << "not by the kernels";
      EXPECT_TRUE(near(mixed, expected, GetParam().tolerance));
      const double largest_gradient = plain.grad().abs().max().item<double>();
      EXPECT_TRUE(near(fused.grad(), plain.grad(), GetParam().tolerance * largest_gradient));
      for (int64_t part = 0; part < 3; ++part) {  // query, key, value
        const int64_t hidden = heads * dim;
        const at::Tensor exact = plain.grad().narrow(2, part * hidden, hidden);
        if (exact.abs().max().item<double>() > 1e-9) {
          EXPECT_GT(cosine(fused.grad().narrow(2, part * hidden, hidden), exact), 1 - GetParam().cosine_tolerance)
              << part;
        }
      }
    }
  }
}

// The same entries are dropped as in the composed operations, forward and backward.
TEST_P(FusedAttention, DropsWhatTheReferenceDrops) {
  util::RandomStream random(2);
  const at::Tensor values = random_tensor(random, {2, 150, 3 * 2 * 32}).to(GetParam().type);
  const at::Tensor weights = random_tensor(random, {2, 150, 64});
  const AttentionOptions options = {.heads = 2, .dropout = {.probability = 0.3, .key = 0x123456789abcdefULL}};
  const auto run = [&](at::ScalarType type) {
    const at::Tensor qkv = test::leaf_of(values, type);
    const at::Tensor mixed = attention(qkv, {}, options);
    (mixed * weights.to(type)).sum().backward();
    return std::pair(mixed.detach(), qkv.grad());
  };
  const auto [fused, fused_gradient] = run(GetParam().type);
  const auto [exact, exact_gradient] = run(at::kDouble);
  EXPECT_GT(cosine(fused, exact), 1 - 2 * GetParam().cosine_tolerance);
  EXPECT_GT(cosine(fused_gradient, exact_gradient), 1 - 2 * GetParam().cosine_tolerance);
  const at::Tensor undropped = attention(values.to(at::kDouble), {}, {.heads = 2});
  EXPECT_LT(cosine(exact, undropped), 0.99) << "or the test could not fail";
}

TEST_P(FusedAttention, SaysWhatIsNoNumber) {
  util::RandomStream random(1);
  for (const int64_t part : {0, 1, 2}) {
    at::Tensor qkv = random_tensor(random, {1, 40, 3 * 64}).to(GetParam().type);
    qkv[0][17][part * 64 + 5] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(at::isnan(attention(qkv, {}, {.heads = 1})[0][17]).any().item<bool>()) << part;
  }
}

// As LibTorch has it: neither its output nor any gradient is spoilt.
TEST_P(FusedAttention, AQueryWithoutAKeyIsZeros) { expect_zeros_without_a_key(GetParam().type); }

// Scores far apart leave weights that are no normal numbers, and large ones must not overflow.
TEST_P(FusedAttention, ScoresFarApartChooseOneKey) {
  at::Tensor qkv = at::zeros({1, 20, 3 * 32}, GetParam().type);
  qkv.narrow(2, 0, 64).fill_(1.0);
  qkv[0][13].narrow(0, 32, 32).fill_(100.0);  // that key's scores are 566, the others' 5.7
  qkv[0][13].narrow(0, 64, 32).fill_(3.0);
  EXPECT_TRUE(near(attention(qkv, {}, {.heads = 1}), at::full({1, 20, 32}, 3.0), 0.0));
}

}  // namespace
}  // namespace bertcram::nn
