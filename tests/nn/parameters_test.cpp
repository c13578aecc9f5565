// Flat buffers and the tensors in them.

#include "bertcram/nn/parameters.h"

#include <cmath>

#include "bertcram/util/error.h"
#include "nn/tensor_support.h"
#include "util/test_support.h"

namespace bertcram::nn {
namespace {

using test::near;
using test::same_bits;

std::vector<ParameterSpec> specs() {
  return {
      {.leaf = "a.weight", .parts = {"a.weight"}, .shape = {5, 7}},
      {.leaf = "a.bias", .parts = {"a.bias"}, .shape = {5}, .init = Init::kZeros, .group = Group::kVector},
      {.leaf = "qkv.weight", .parts = {"query.weight", "key.weight", "value.weight"}, .shape = {6, 4}},
      {.leaf = "norm.weight", .parts = {"norm.weight"}, .shape = {9}, .init = Init::kOnes, .group = Group::kVector}};
}

at::Tensor find(const std::vector<NamedTensor>& views, const std::string& name) {
  for (const NamedTensor& view : views) {
    if (view.name == name) {
      return view.tensor;
    }
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(Parameters, StoredViewsCoverEveryNumberOnce) {
  Parameters parameters(specs(), at::kFloat, at::kCPU);
  EXPECT_EQ(parameters.count(), 35 + 5 + 24 + 9);
  const at::Tensor counts = at::zeros_like(parameters.masters());
  int64_t covered = 0;
  std::vector<std::string> names;
  for (const NamedTensor& view : parameters.stored_views(counts)) {
    names.push_back(view.name);
    covered += view.tensor.numel();
    at::Tensor target = view.tensor;
    target.add_(1);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a.weight", "a.bias", "query.weight", "key.weight", "value.weight",
                                             "norm.weight"}));
  EXPECT_EQ(covered, parameters.count());
  EXPECT_EQ(counts.max().item<double>(), 1.0);
  EXPECT_EQ(counts.sum().item<double>(), static_cast<double>(parameters.count()));
}

TEST(Parameters, DecayedOnesStandFirstAndAllStandAligned) {
  Parameters parameters(specs(), at::kFloat, at::kCPU);
  const auto* base = parameters.masters().data_ptr<float>();
  for (const ParameterSpec& spec : specs()) {
    const auto* at = parameters.leaf(spec.leaf).data_ptr<float>();
    EXPECT_EQ((at - base) % 16, 0) << spec.leaf;
    const FlatRange range = parameters.range_of(spec.group);
    EXPECT_TRUE(range.begin <= at - base && at - base < range.begin + range.size) << spec.leaf;
  }
}

TEST(Parameters, PackedPartsAreViewsOfOneLeaf) {
  Parameters parameters(specs(), at::kFloat, at::kCPU);
  parameters.initialise(1, 1.0);
  const auto views = parameters.stored_views(parameters.masters());
  const at::Tensor leaf = parameters.leaf("qkv.weight");
  at::Tensor key = find(views, "key.weight");
  EXPECT_TRUE(same_bits(key, leaf.detach().narrow(0, 2, 2)));
  key.fill_(7);
  EXPECT_TRUE(near(leaf.narrow(0, 2, 2), at::full({2, 4}, 7.0), 0));
  EXPECT_TRUE(same_bits(find(views, "value.weight"), leaf.detach().narrow(0, 4, 2)));
}

TEST(Parameters, InitialWeightsDependOnSeedAndNameOnly) {
  auto reversed_specs = specs();
  std::reverse(reversed_specs.begin(), reversed_specs.end());
  Parameters forward(specs(), at::kFloat, at::kCPU);
  Parameters reversed(reversed_specs, at::kFloat, at::kCPU);
  Parameters rounded(specs(), at::kBFloat16, at::kCPU);
  Parameters other(specs(), at::kFloat, at::kCPU);
  forward.initialise(3, 0.02);
  reversed.initialise(3, 0.02);
  rounded.initialise(3, 0.02);
  other.initialise(4, 0.02);
  for (const ParameterSpec& spec : specs()) {
    EXPECT_TRUE(same_bits(forward.leaf(spec.leaf), reversed.leaf(spec.leaf))) << spec.leaf;
    EXPECT_TRUE(same_bits(forward.leaf(spec.leaf), rounded.master_leaf(spec.leaf))) << spec.leaf;
    EXPECT_TRUE(same_bits(rounded.leaf(spec.leaf), forward.leaf(spec.leaf).to(at::kBFloat16))) << spec.leaf;
    EXPECT_EQ(same_bits(forward.leaf(spec.leaf), other.leaf(spec.leaf)), spec.init != Init::kNormal) << spec.leaf;
  }
  EXPECT_TRUE(near(forward.leaf("norm.weight"), at::ones({9}), 0));
  EXPECT_TRUE(near(forward.leaf("a.bias"), at::zeros({5}), 0));
}

TEST(ParametersProperty, InitialWeightsAreNormal) {
  Parameters parameters({{.leaf = "w", .parts = {"w"}, .shape = {300, 301}}}, at::kFloat, at::kCPU);
  parameters.initialise(test::test_seed(), 0.02);
  const at::Tensor standard = parameters.leaf("w").detach().to(at::kDouble) / 0.02;
  const double root = std::sqrt(300.0 * 301.0);
  EXPECT_NEAR(standard.mean().item<double>(), 0, 6 / root);
  EXPECT_NEAR((standard * standard).mean().item<double>(), 1, 6 * std::sqrt(2.0) / root);
  EXPECT_NEAR(standard.pow(4).mean().item<double>(), 3, 6 * std::sqrt(96.0) / root);
  EXPECT_NEAR((standard.abs() < 1).to(at::kDouble).mean().item<double>(), 0.6827, 6 * 0.466 / root);
}

// Vaswani et al. 2017, §3.5, with the number of rows in place of 10000: sin and cos of p / rows^(2i / width); sqrt(2) * std
// gives them the same spread as normal weights.
TEST(Parameters, SinusoidsByHand) {
  Parameters parameters({{.leaf = "p", .parts = {"p"}, .shape = {5, 4}, .init = Init::kSinusoid}}, at::kFloat,
                        at::kCPU);
  parameters.initialise(1, 0.02);
  const double amplitude = 0.02 * std::sqrt(2.0);
  const at::Tensor row = parameters.leaf("p").detach()[3];
  const double slow = 3.0 / std::sqrt(5.0);
  EXPECT_TRUE(near(row, amplitude * at::tensor({std::sin(3.0), std::cos(3.0), std::sin(slow), std::cos(slow)}), 1e-7));
}

TEST(Parameters, SimilarityStartsKeysAsQueries) {
  Parameters parameters({{.leaf = "qkv", .parts = {"q", "k", "v"}, .shape = {6, 4}, .init = Init::kSimilarity}},
                        at::kFloat, at::kCPU);
  parameters.initialise(1, 0.02);
  const auto views = parameters.stored_views(parameters.masters());
  EXPECT_TRUE(same_bits(find(views, "q"), find(views, "k")));
  EXPECT_FALSE(same_bits(find(views, "q"), find(views, "v")));
  EXPECT_GT(find(views, "v").abs().min().item<double>(), 0.0);
}

TEST(Parameters, AnInitialScaleScales) {
  Parameters plain({{.leaf = "w", .parts = {"w"}, .shape = {6, 4}}}, at::kFloat, at::kCPU);
  Parameters scaled({{.leaf = "w", .parts = {"w"}, .shape = {6, 4}, .init_scale = 0.25}}, at::kFloat, at::kCPU);
  plain.initialise(1, 0.02);
  scaled.initialise(1, 0.02);
  EXPECT_TRUE(near(scaled.leaf("w"), plain.leaf("w") * 0.25, 1e-9));
}

/// A loss whose gradient with respect to a.weight is `factor` everywhere.
void backward(const Parameters& parameters, double factor) { (parameters.leaf("a.weight") * factor).sum().backward(); }

TEST(Parameters, GradientsOfSeveralPassesAddUpInFp32) {
  // 1 + 1/512: bf16 cannot hold the sum, fp32 can.
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    Parameters parameters(specs(), type, at::kCPU);
    for (const double factor : {1.0, 1.0 / 512, 1.0 / 512}) {
      backward(parameters, factor);
    }
    const auto views = parameters.stored_views(parameters.gradients());
    EXPECT_TRUE(near(find(views, "a.weight"), at::full({5, 7}, 1 + 2.0 / 512), 0)) << type;
    EXPECT_TRUE(near(find(views, "query.weight"), at::zeros({2, 4}), 0));
    parameters.zero_gradients();
    EXPECT_EQ(parameters.gradients().abs().sum().item<double>(), 0.0);
    backward(parameters, 3.0);
    EXPECT_TRUE(near(find(views, "a.weight"), at::full({5, 7}, 3.0), 0)) << "nothing of the earlier passes is left";
  }
}

TEST(ParametersProperty, Bf16GradientIsTheSumOfTheMicroGradientsInFp32) {
  util::RandomStream random(test::test_seed());
  Parameters parameters(specs(), at::kBFloat16, at::kCPU);
  at::Tensor expected = at::zeros({5, 7});
  for (int pass = 0; pass < 20; ++pass) {
    const at::Tensor direction = test::random_tensor(random, {5, 7}).to(at::kBFloat16);
    (parameters.leaf("a.weight") * direction).sum().backward();
    expected += direction.to(at::kFloat);
  }
  EXPECT_TRUE(same_bits(find(parameters.stored_views(parameters.gradients()), "a.weight"), expected));
}

// An embedding is looked up in fp32 and decodes in bf16: both gradients belong to the one tensor.
TEST(Parameters, MasterAndComputeLeafShareOneGradient) {
  Parameters parameters(specs(), at::kBFloat16, at::kCPU);
  (parameters.master_leaf("a.weight") * 2.0).sum().backward();
  (parameters.leaf("a.weight") * 3.0).sum().backward();
  EXPECT_TRUE(near(find(parameters.stored_views(parameters.gradients()), "a.weight"), at::full({5, 7}, 5.0), 0));
}

TEST(Parameters, SyncRoundsTheMasters) {
  Parameters parameters(specs(), at::kBFloat16, at::kCPU);
  parameters.masters().fill_(1.001);
  parameters.sync_compute();
  EXPECT_TRUE(near(parameters.leaf("a.weight"), at::ones({5, 7}), 0));
  EXPECT_TRUE(near(parameters.master_leaf("a.weight"), at::full({5, 7}, 1.001), 1e-7));
}

TEST(Parameters, AnUnknownLeafAndPartsThatDoNotDivideAreInternalErrors) {
  Parameters parameters(specs(), at::kFloat, at::kCPU);
  EXPECT_THROW(parameters.leaf("query.weight"), InternalError);
  EXPECT_THROW(Parameters({{.leaf = "x", .parts = {"a", "b"}, .shape = {3}}}, at::kFloat, at::kCPU), InternalError);
}

}  // namespace
}  // namespace bertcram::nn
