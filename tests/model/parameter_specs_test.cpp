// Which parameters models have.

#include "bertcram/model/parameter_specs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/config/resolve.h"
#include "bertcram/util/text.h"
#include "util/source_dir.h"
#include "util/test_support.h"

namespace bertcram::model {
namespace {

using config::Arch;
using config::PretrainConfig;
using config::WeightInit;

const EncoderShape kBase = {.vocab = 30522};

int64_t count(const std::vector<nn::ParameterSpec>& specs) {
  int64_t total = 0;
  for (const nn::ParameterSpec& spec : specs) {
    total += std::accumulate(spec.shape.begin(), spec.shape.end(), int64_t{1}, std::multiplies<>());
  }
  return total;
}

// Known from Hugging Face: bert-base-uncased as BertForMaskedLM and as BertForSequenceClassification with two classes.
TEST(ParameterSpecs, BertBaseHasTheKnownNumberOfParameters) {
  EXPECT_EQ(count(parameter_specs(kBase, {})), 109'514'298);
  EXPECT_EQ(count(parameter_specs(kBase, {.kind = HeadKind::kClassifier, .outputs = 2})), 109'483'778);
}

TEST(ParameterSpecs, DecayIsForMatricesOnly) {
  for (const nn::ParameterSpec& spec : parameter_specs({.vocab = 10, .hidden = 4, .layers = 1, .heads = 2}, {})) {
    EXPECT_EQ(spec.group != nn::Group::kVector, spec.shape.size() == 2) << spec.leaf;
    EXPECT_EQ(spec.init == nn::Init::kOnes, spec.leaf.ends_with("LayerNorm.weight")) << spec.leaf;
  }
}

TEST(ParameterSpecs, StoredNamesAreThoseOfHuggingFace) {
  std::vector<std::string> names;
  for (const auto& spec : parameter_specs({.vocab = 10, .hidden = 4, .layers = 1, .heads = 2}, {})) {
    names.insert(names.end(), spec.parts.begin(), spec.parts.end());
  }
  EXPECT_EQ(names.size(), 5U + 16U + 5U);
  for (const char* name :
       {"bert.embeddings.LayerNorm.bias", "bert.encoder.layer.0.attention.self.query.weight",
        "bert.encoder.layer.0.attention.output.LayerNorm.weight", "bert.encoder.layer.0.intermediate.dense.bias",
        "cls.predictions.transform.dense.weight", "cls.predictions.bias"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
}

// Of ModernBERT-base as ModernBertForMaskedLM in transformers 5.23.
TEST(ParameterSpecs, ModernBertBaseHasTheKnownNumberOfParameters) {
  const EncoderShape base = {
      .arch = Arch::kModern, .vocab = 50368, .hidden = 768, .layers = 22, .heads = 12, .ffn = 1152, .token_types = 1};
  EXPECT_EQ(count(parameter_specs(base, {})), 149'655'232);
  EXPECT_EQ(count(parameter_specs(base, {.kind = HeadKind::kClassifier, .outputs = 2})), 149'606'402);
}

TEST(Presets, HaveAsManyParametersAsTheDocumentSays) {
  int presets = 0;
  const std::string document = test::read_bytes(test::source_dir() / "docs/models.md");
  for (const std::string_view line : util::split(document, '\n')) {
    const auto cells = util::split(line, '|');
    if (cells.size() != 5 || !cells[1].starts_with(" `") || cells[1].find(".yaml`") == std::string_view::npos) {
      continue;
    }
    const std::string name(cells[1].substr(2, cells[1].find('`', 2) - 2));
    std::string number(util::trim(cells[3]));
    std::erase(number, ',');
    PretrainConfig config;
    config::apply_sources(config::fields_of(config),
                          {.files = {(test::source_dir() / "configs" / name).string()}, .overrides = {}});
    EXPECT_EQ(count(parameter_specs(make_shape(config.model, 32'768, 0), {})), std::stoll(number)) << name;
    ++presets;
  }
  EXPECT_EQ(presets, 9);
}

TEST(ParameterSpecs, ModernHasNoBiasesButThoseOfItsLastLayers) {
  std::vector<std::string> biases;
  for (const auto& spec :
       parameter_specs({.arch = Arch::kModern, .vocab = 10, .hidden = 4, .layers = 3, .heads = 2}, {})) {
    if (spec.leaf.ends_with("bias")) {
      biases.push_back(spec.leaf);
    }
    EXPECT_NE(spec.leaf, "model.layers.0.attn_norm.weight");
  }
  EXPECT_EQ(biases, (std::vector<std::string>{"decoder.bias"}));
}

const nn::ParameterSpec& spec_of(const std::vector<nn::ParameterSpec>& specs, const std::string& name) {
  return *std::ranges::find(specs, name, &nn::ParameterSpec::leaf);
}

// ModernBertPreTrainedModel._init_weights: out layers at std / sqrt(2 layers), classifiers at hidden^-1/2.
TEST(ParameterSpecs, ModernStartsAsItsSourceSays) {
  EncoderShape shape = {.arch = Arch::kModern, .vocab = 10, .hidden = 16, .layers = 2, .heads = 2, .init_std = 0.02};
  shape.init = WeightInit::kModern;
  const auto specs = parameter_specs(shape, {.kind = HeadKind::kClassifier, .outputs = 2});
  for (const auto& [name, std_wanted] :
       {std::pair("model.embeddings.tok_embeddings.weight", 0.02), std::pair("model.layers.0.attn.Wqkv.weight", 0.02),
        std::pair("model.layers.1.attn.Wo.weight", 0.01), std::pair("model.layers.0.mlp.Wi.weight", 0.02),
        std::pair("model.layers.0.mlp.Wo.weight", 0.01), std::pair("head.dense.weight", 0.01),
        std::pair("classifier.weight", 0.25)}) {
    const nn::ParameterSpec& spec = spec_of(specs, name);
    EXPECT_EQ(spec.init, nn::Init::kTruncatedNormal) << name;
    EXPECT_NEAR(spec.init_scale * shape.init_std, std_wanted, 1e-12) << name;
  }
  EXPECT_EQ(spec_of(specs, "model.final_norm.weight").init, nn::Init::kOnes);
}

TEST(ParameterSpecs, AGeneratorSharesTheEmbeddingsOnly) {
  for (const Arch arch : {Arch::kBert, Arch::kModern}) {
    const EncoderShape shape = {.arch = arch, .vocab = 10, .hidden = 4, .layers = 3, .heads = 2};
    EncoderShape generator = shape;
    generator.layers = 1;
    std::vector<std::string> own;
    std::vector<std::string> generators;
    for (const auto& spec : replaced_token_specs(shape, generator)) {
      const bool is_generator = spec.leaf.starts_with(kGeneratorPrefix);
      (is_generator ? generators : own).push_back(is_generator ? spec.leaf.substr(10) : spec.leaf);
    }
    std::vector<std::string> expected;
    for (const auto& spec : parameter_specs(generator, {})) {
      if (!is_embedding(spec.leaf, arch)) {
        expected.push_back(spec.leaf);
      }
    }
    EXPECT_EQ(generators, expected);
    EXPECT_EQ(own.size(), parameter_specs(shape, replaced_token_head()).size());
    EXPECT_NE(std::ranges::find(own, word_embeddings_name(arch)), own.end());
  }
}

}  // namespace
}  // namespace bertcram::model
