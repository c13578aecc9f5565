// On a GPU: our kernels, and LibTorch's operations in their place, against fp64 on the CPU. Label gpu; skipped where there is none.

#include <gtest/gtest.h>

#include "bertcram/config/train_config.h"
#include "bertcram/nn/attention.h"
#include "bertcram/nn/functional.h"
#include "bertcram/nn/fused.h"
#include "bertcram/nn/gpu_adamw.h"
#include "bertcram/nn/masked_lm_loss.h"
#include "bertcram/nn/rotary.h"
#include "bertcram/train/runtime.h"
#include "bertcram/util/error.h"
#include "nn/cuda_kernels.h"
#include "nn/fused_cuda.h"
#include "nn/tensor_support.h"
#include "train/gpu_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::random_tensor;

struct Case {
  at::ScalarType type;
  bool has_kernels;
};

/// Relative to a number of size 1.
double tolerance(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16: return 1.0 / 128;
    case at::kHalf: return 1.0 / 1024;
    default: return 2e-6;
  }
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  return cat(at::toString(info.param.type), info.param.has_kernels ? "Kernels" : "LibTorch");
}

class GpuOperations : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (const auto reason = test::reason_without_gpu()) {
      GTEST_SKIP() << *reason;
    }
    runtime_ = train::set_up_runtime({.device = config::DeviceKind::kCuda});
    set_cuda_kernels(GetParam().has_kernels);
    if (GetParam().has_kernels && cuda_kernels() == nullptr) {
      GTEST_SKIP() << "built without nvcc: there is no " << kernels::cuda::kLibrary;
    }
    ASSERT_EQ(can_fuse_on_gpu(at::ones({8}, options())), GetParam().has_kernels);
  }
  void TearDown() override { set_cuda_kernels(was_on_); }

  at::TensorOptions options() const { return at::TensorOptions(runtime_.device).dtype(GetParam().type); }

  struct Outcome {
    at::Tensor value;
    at::Tensor gradient;
  };

  /// Value and gradient in a direction, of numbers that the type can hold.
  template <class Function>
  static Outcome run(const at::Tensor& values, const at::Tensor& direction, const Function& function) {
    const at::Tensor x = values.detach().clone().requires_grad_(true);
    const at::Tensor y = function(x);
    y.backward(direction.to(y.options()));
    return {y.detach().to(at::kCPU, at::kDouble), x.grad().to(at::kCPU, at::kDouble)};
  }

  /// @param roundings  that a result may have behind it
  template <class Function>
  void expect_equal_to_fp64(const at::Tensor& given, const at::Tensor& direction, const Function& function,
                            int roundings = 1) const {
    const at::Tensor values = given.to(options());  // [rounded]
    const at::Tensor rounded_direction = direction.to(options());
    const Outcome got = run(values, rounded_direction, function);
    const Outcome exact = run(values.to(at::kCPU, at::kDouble), rounded_direction.to(at::kCPU, at::kDouble), function);
    const double allowed = roundings * tolerance(GetParam().type);
    EXPECT_TRUE(near(got.value / (exact.value.abs() + 1), exact.value / (exact.value.abs() + 1), allowed));
    EXPECT_TRUE(near(got.gradient / (exact.gradient.abs() + 1), exact.gradient / (exact.gradient.abs() + 1), allowed));
  }

 private:
  bool was_on_ = uses_cuda_kernels();
  train::Runtime runtime_;
};

TEST_P(GpuOperations, GeluEqualsFp64) {
  for (const int64_t count : {1, 7, 8, 9, 1'000, 1'500'001}) {  // ends within a vector; more than one turn of the grid
    SCOPED_TRACE(count);
    const at::Tensor x = at::linspace(-9, 9, count, at::kDouble);
    expect_equal_to_fp64(x, at::ones_like(x), [](const at::Tensor& each) { return nn::gelu(each); });
  }
}

TEST_P(GpuOperations, GegluEqualsFp64) {
  util::RandomStream random(test::test_seed());
  for (const int64_t ffn : {8, 24, 40, 1'024}) {
    SCOPED_TRACE(ffn);
    expect_equal_to_fp64(random_tensor(random, {3, 33, 2 * ffn}, 4.0), random_tensor(random, {3, 33, ffn}),
                         [](const at::Tensor& each) { return nn::geglu(each); });
  }
}

// A part of a larger tensor begins anywhere.
TEST_P(GpuOperations, ActivationsOfAPartEqualFp64) {
  util::RandomStream random(test::test_seed());
  expect_equal_to_fp64(random_tensor(random, {1 + 5 * 64}, 4.0), random_tensor(random, {5, 32}),
                       [](const at::Tensor& each) {
                         return nn::geglu(each.narrow(0, 1, 5 * 64).view({5, 64}));
                       });
}

TEST_P(GpuOperations, RotationEqualsFp64AndItsGradientTurnsBack) {
  util::RandomStream random(test::test_seed());
  for (const int64_t dim : {2, 32, 64}) {
    SCOPED_TRACE(dim);
    const int64_t heads = 3;
    const auto turn = [&](const at::Tensor& x) {
      const RotaryTables tables = rotary_tables(at::arange(70, at::kLong), dim, 10'000);
      return rotate(x, {.cosines = tables.cosines.to(x.device()), .sines = tables.sines.to(x.device())}, heads);
    };
    const at::Tensor values = random_tensor(random, {2, 70, 3 * heads * dim});
    expect_equal_to_fp64(values, random_tensor(random, {2, 70, 3 * heads * dim}), turn);
    EXPECT_FALSE(near(turn(values), values, 0.1)) << "or the test could not fail";
  }
}

TEST_P(GpuOperations, NormOfASumEqualsFp64) {
  util::RandomStream random(test::test_seed());
  for (const int64_t hidden : {8, 256, 300, 512, 768, 1'024}) {
    SCOPED_TRACE(hidden);
    const at::Tensor branch = random_tensor(random, {3, 101, hidden}, 2.0).to(options());
    const at::Tensor weight = random_tensor(random, {hidden}).to(options());
    const at::Tensor bias = random_tensor(random, {hidden}).to(options());
    const at::Tensor direction = random_tensor(random, {3, 101, hidden});
    const auto normed_and_sum = [&](const at::Tensor& x) {
      const auto like_x = [&](const at::Tensor& each) { return each.to(x.options()); };
      const NormedSum both = add_norm(x, like_x(branch), like_x(weight), like_x(bias), 1e-5);
      return both.normed + 0.5 * both.sum;
    };
    expect_equal_to_fp64(random_tensor(random, {3, 101, hidden}, 2.0), direction, normed_and_sum, /*roundings=*/3);
    // The weight as what the gradient is wanted of: a sum over all rows.
    expect_equal_to_fp64(random_tensor(random, {hidden}), direction / 101, [&](const at::Tensor& scale) {
      return layer_norm(branch.to(scale.options()), scale, at::Tensor(), 1e-5);
    });
  }
}

// Gradients of weights are sums over many tokens, which bf16 cannot hold.
TEST_P(GpuOperations, LinearMapsSumTheGradientsOfWeightsInFp32) {
  util::RandomStream random(test::test_seed());
  for (const int64_t out : {24, 20, 640}) {  // whole vectors of columns or not; more than a block has
    SCOPED_TRACE(out);
    const int64_t tokens = 1'001;
    const auto rounded = [&](at::IntArrayRef shape) { return random_tensor(random, shape).to(options()); };
    const at::Tensor x = rounded({7, tokens / 7, 16});
    const at::Tensor weight = rounded({out, 16});
    const at::Tensor bias = rounded({out});
    const at::Tensor direction = rounded({7, tokens / 7, out});
    const auto exact = [](const at::Tensor& each) { return each.to(at::kCPU, at::kDouble); };
    expect_equal_to_fp64(exact(x), exact(direction), [&](const at::Tensor& each) {
      return linear(each, weight.to(each.options()), bias.to(each.options()));
    });
    const auto leaf_of = [&](const at::Tensor& values) {
      const at::Tensor leaf = values.detach().clone().requires_grad_(true);
      leaf.mutable_grad() = at::full(values.sizes(), 2048.0, options().dtype(at::kFloat));
      return leaf;
    };
    const at::Tensor weight_leaf = leaf_of(weight);
    const at::Tensor bias_leaf = leaf_of(bias);
    linear(x, weight_leaf, bias_leaf).backward(direction);
    const at::Tensor rows = exact(direction).view({tokens, out});
    const double allowed =
        GetParam().has_kernels ? 1e-3 : 2 * tolerance(GetParam().type) * 64;  // of some 2,048 ± 32 · 4
    EXPECT_TRUE(near(exact(weight_leaf.grad()), 2048 + rows.t().mm(exact(x).view({tokens, 16})), allowed));
    EXPECT_TRUE(near(exact(bias_leaf.grad()), 2048 + rows.sum(0), allowed));
  }
}

TEST_P(GpuOperations, AttentionEqualsFp64) {
  util::RandomStream random(test::test_seed());
  const at::Tensor qkv = random_tensor(random, {3, 40, 3 * 64});
  const at::Tensor window = window_bias(40, 8, at::TensorOptions().dtype(at::kDouble));
  for (const bool has_window : {false, true}) {
    SCOPED_TRACE(has_window);
    expect_equal_to_fp64(
        qkv, random_tensor(random, {3, 40, 64}),
        [&](const at::Tensor& each) {
          return attention(each, {.bias = has_window ? window.to(each.options()) : at::Tensor()}, {.heads = 2});
        },
        /*roundings=*/3);
  }
}

TEST_P(GpuOperations, LossAndItsGradientEqualFp64) {
  util::RandomStream random(test::test_seed());
  for (const int64_t vocab : {5, 512, 3'001}) {
    SCOPED_TRACE(vocab);
    const int64_t masked = 70;
    const int64_t hidden = 16;
    const at::Tensor targets = at::arange(masked, at::kLong).remainder(vocab);
    const at::Tensor embedding = random_tensor(random, {vocab, hidden}).to(options());
    const at::Tensor bias = random_tensor(random, {vocab}).to(options());
    expect_equal_to_fp64(random_tensor(random, {masked, hidden}), at::ones({}, at::kDouble),
                         [&](const at::Tensor& states) {
                           return masked_lm_loss_sum(states, embedding.to(states.options()), bias.to(states.options()),
                                                     targets.to(states.device()));
                         });
  }
}

TEST_P(GpuOperations, AdamWEqualsLibTorchsAndRefreshesTheCopy) {
  if (!GetParam().has_kernels) {
    GTEST_SKIP() << "LibTorch's is what it is compared with";
  }
  util::RandomStream random(test::test_seed());
  const int64_t count = 1'100'003;  // more than one turn of the grid
  const auto single = options().dtype(at::kFloat);
  const auto drawn = [&] { return random_tensor(random, {count}).to(single); };
  const bool has_copy = GetParam().type != at::kFloat;
  const GpuAdamwBuffers buffers = {.masters = drawn(),
                                   .gradients = drawn(),
                                   .first_moments = drawn(),
                                   .second_moments = drawn().square(),
                                   .copy = has_copy ? at::zeros({count}, options()) : at::Tensor()};
  const at::Tensor expected = buffers.masters.clone();
  const AdamwStep step = {.learning_rate = 0.01,
                          .weight_decay = 0.1,
                          .beta1 = 0.9,
                          .beta2 = 0.98,
                          .epsilon = 1e-6,
                          .number = 3,
                          .gradient_factor = 0.5};
  at::_fused_adamw_({expected}, {buffers.gradients * step.gradient_factor}, {buffers.first_moments.clone()},
                    {buffers.second_moments.clone()}, {}, {at::full({}, step.number, single)}, step.learning_rate,
                    step.beta1, step.beta2, step.weight_decay, step.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  ASSERT_TRUE(gpu_adamw(step, buffers));
  const at::Tensor size = expected.abs() + 1;  // where the second moment is tiny, the update is large
  EXPECT_TRUE(near((buffers.masters / size).cpu(), (expected / size).cpu(), 2e-6));
  if (has_copy) {
    EXPECT_TRUE(at::equal(buffers.copy, buffers.masters.to(GetParam().type)));
  }
  EXPECT_EQ(at::count_nonzero(buffers.gradients).item<int64_t>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuOperations,
                         ::testing::Values(Case{at::kFloat, false}, Case{at::kHalf, false}, Case{at::kBFloat16, false},
                                           Case{at::kFloat, true}, Case{at::kHalf, true}, Case{at::kBFloat16, true}),
                         name_of);

}  // namespace
}  // namespace bertcram::nn
