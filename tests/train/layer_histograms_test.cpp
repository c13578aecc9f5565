// Histograms of layers: every number is counted once, under the right layer.

#include "train/layer_histograms.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/square.h>

#include <numeric>

#include "bertcram/model/parameter_specs.h"
#include "util/test_support.h"

namespace bertcram::train {
namespace {

nn::Parameters small_model(config::Arch arch) {
  const config::ModelConfig model = {
      .arch = arch, .hidden = 16, .layers = 2, .heads = 2, .ffn = 32, .max_positions = 8};
  nn::Parameters parameters(model::parameter_specs(model::make_shape(model, /*vocab=*/20, /*pad_id=*/0), {}),
                            at::kFloat, at::kCPU);
  parameters.initialise(/*seed=*/1, /*init_std=*/0.02);
  return parameters;
}

TEST(LayerOf, ReadsTheNamesOfAllModels) {
  EXPECT_EQ(layer_of("bert.encoder.layer.3.attention.self.query.weight"), "layer 03");
  EXPECT_EQ(layer_of("bert.encoder.layer.11.output.dense.bias"), "layer 11");
  EXPECT_EQ(layer_of("model.layers.7.mlp.Wi.weight"), "layer 07");
  EXPECT_EQ(layer_of("bert.embeddings.word_embeddings.weight"), "embeddings");
  EXPECT_EQ(layer_of("cls.predictions.bias"), "head");
}

TEST(LayerHistograms, CountEveryNumberOnceUnderItsLayer) {
  for (const auto arch : {config::Arch::kBert, config::Arch::kModern}) {
    nn::Parameters parameters = small_model(arch);
    const auto layers = layer_histograms(parameters, parameters.masters(), /*divisor=*/2);
    EXPECT_TRUE(layers.contains("layer 00") && layers.contains("layer 01") && layers.contains("embeddings"));
    std::map<std::string, double> squares;
    std::map<std::string, double> counts;
    for (const auto& each : parameters.stored_views(parameters.masters())) {
      squares[layer_of(each.name)] += at::square(each.tensor.detach() / 2).sum().item().toDouble();
      counts[layer_of(each.name)] += static_cast<double>(each.tensor.numel());
    }
    for (const auto& [layer, histogram] : layers) {
      EXPECT_EQ(histogram.count, counts[layer]) << layer;
      EXPECT_EQ(std::accumulate(histogram.counts.begin(), histogram.counts.end(), 0.0), counts[layer]) << layer;
      EXPECT_NEAR(histogram.sum_of_squares, squares[layer], 1e-4 * squares[layer]) << layer;
      EXPECT_GE(histogram.limits.back(), histogram.largest * (1 - 1e-6)) << layer;
    }
  }
}

TEST(LayerHistograms, ALayerWithANumberThatIsNoneIsLeftOut) {
  nn::Parameters parameters = small_model(config::Arch::kBert);
  for (const auto& each : parameters.stored_views(parameters.gradients())) {
    each.tensor.detach().fill_(layer_of(each.name) == "layer 01" ? std::numeric_limits<double>::quiet_NaN() : 0.5);
  }
  const auto layers = layer_histograms(parameters, parameters.gradients(), 1);
  EXPECT_FALSE(layers.contains("layer 01"));
  ASSERT_TRUE(layers.contains("layer 00"));
  EXPECT_EQ(layers.at("layer 00").smallest, 0.5);
}

}  // namespace
}  // namespace bertcram::train
