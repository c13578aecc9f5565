// Shapes of models: parameters, arithmetic, and configurations of Hugging Face.

#include "bertcram/model/shape.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "util/test_support.h"

namespace bertcram::model {
namespace {

using nlohmann::json;
using test::contains;
using test::message_of;

const BertShape kBase = {.vocab = 30522};

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
    EXPECT_EQ(spec.decay == nn::Decay::kYes, spec.shape.size() == 2) << spec.leaf;
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

// 6 * 12 * (4 * 768² + 2 * 768 * 3072) = 509,607,936 of the layers, 6 * 0.15 * (32768 * 768 + 768²) = 23,180,083.2 of
// the decoder and its transform, 12 * 12 * 128 * 768 = 14,155,776 of the attention scores and sums.
TEST(FlopsPerToken, ByHandForBertBase) {
  EXPECT_NEAR(flops_per_token({.vocab = 32768}, 128, 0.15), 546'943'795.2, 1);
  EXPECT_NEAR(flops_per_token({.vocab = 32768}, 128, 0.0), 509'607'936 + 14'155'776, 1);
}

TEST(HubConfig, ReadsBackWhatItWrites) {
  const BertShape odd = {.vocab = 999,
                         .hidden = 24,
                         .layers = 3,
                         .heads = 4,
                         .ffn = 50,
                         .max_positions = 77,
                         .token_types = 3,
                         .layer_norm_eps = 1e-7,
                         .init_std = 0.3,
                         .pad_id = 5,
                         .init = config::WeightInit::kShortRun};
  for (const BertShape& shape : {kBase, odd}) {
    EXPECT_TRUE(shape_from_hub_config(json::parse(to_hub_config(shape, {}).dump()), "x") == shape);
  }
}

TEST(HubConfig, HeadsReadBackWithTheirLabels) {
  EXPECT_EQ(head_from_hub_config(to_hub_config(kBase, {})).kind, HeadKind::kMaskedLm);
  const Head three = {.kind = HeadKind::kClassifier, .outputs = 3, .label_words = {"no", "yes", "maybe"}};
  const json config = to_hub_config(kBase, three);
  EXPECT_EQ(head_from_hub_config(config).label_words, three.label_words);
  EXPECT_EQ(config["label2id"]["maybe"], 2);
  EXPECT_EQ(config["problem_type"], "single_label_classification");
  const json regression = to_hub_config(kBase, {.kind = HeadKind::kClassifier, .outputs = 1});
  EXPECT_EQ(regression["problem_type"], "regression");
  EXPECT_EQ(head_from_hub_config(regression).outputs, 1);
}

// Hugging Face leaves the default two labels out of config.json.
TEST(HubConfig, AClassifierWithoutLabelsHasTwo) {
  const Head head = head_from_hub_config({{"architectures", {"BertForSequenceClassification"}}});
  EXPECT_EQ(head.outputs, 2);
  EXPECT_EQ(head.label_words, (std::vector<std::string>{"LABEL_0", "LABEL_1"}));
}

TEST(HubConfig, APaddingIdOutsideTheVocabularyIsRefused) {
  json config = to_hub_config(kBase, {});
  for (const int64_t id : {int64_t{-1}, kBase.vocab}) {
    config["pad_token_id"] = id;
    EXPECT_TRUE(contains(message_of<DataError>([&] { shape_from_hub_config(config, "config.json"); }),
                         "config.json: pad_token_id"));
  }
}

TEST(HubConfig, AnEpsilonOfTheNormsThatIsNoneIsRefused) {
  for (const double epsilon : {0.0, -1e-12, 1.0, 5.0}) {
    json config = to_hub_config(kBase, {});
    config["layer_norm_eps"] = epsilon;
    EXPECT_TRUE(contains(message_of<DataError>([&] { shape_from_hub_config(config, "config.json"); }),
                         "config.json: layer_norm_eps"));
  }
}

TEST(HubConfig, UnsupportedFeaturesAreRefusedByName) {
  const std::vector<std::pair<std::string, json>> unsupported = {
      {"hidden_act", "relu"}, {"hidden_act", "gelu_new"}, {"position_embedding_type", "relative_key"},
      {"is_decoder", true},   {"model_type", "roberta"},  {"tie_word_embeddings", false}};
  for (const auto& [key, value] : unsupported) {
    json config = to_hub_config(kBase, {});
    config[key] = value;
    const std::string message =
        message_of<DataError>([&config = config] { shape_from_hub_config(config, "config.json"); });
    EXPECT_TRUE(contains(message, key));
    EXPECT_TRUE(contains(message, value.dump()));
    EXPECT_TRUE(contains(message, "config.json"));
  }
}

TEST(HubConfig, WhatIsNoBertConfigurationIsADataError) {
  EXPECT_THROW(shape_from_hub_config(json::object(), "x"), DataError);
  EXPECT_THROW(shape_from_hub_config(json::array(), "x"), DataError);
  for (const auto& [key, value] : std::vector<std::pair<std::string, json>>{{"vocab_size", "many"},
                                                                            {"vocab_size", 0},
                                                                            {"hidden_size", -768},
                                                                            {"num_attention_heads", 7},
                                                                            {"num_attention_heads", 0},
                                                                            {"num_hidden_layers", nullptr}}) {
    json config = to_hub_config(kBase, {});
    config[key] = value;
    EXPECT_THROW(shape_from_hub_config(config, "x"), DataError) << key << value;
  }
}

TEST(HubConfig, OddHeadsAreDataErrorsNotCrashes) {
  for (const json& odd : {json{{"architectures", nullptr}}, json{{"architectures", "BertForSequenceClassification"}},
                          json{{"architectures", {1}}},
                          json{{"architectures", {"BertForSequenceClassification"}}, {"id2label", {{"0", 1}}}},
                          json{{"architectures", {"BertForSequenceClassification"}}, {"id2label", "x"}}}) {
    try {
      head_from_hub_config(odd);
    } catch (const DataError&) {  // anything else would fail the test
    }
  }
}

TEST(MakeShape, TakesTheConfiguredSizes) {
  const config::ModelConfig config{.hidden = 64, .layers = 2, .heads = 4, .ffn = 128, .max_positions = 32};
  const BertShape shape = make_shape(config, 500, 3);
  EXPECT_EQ(shape.vocab, 500);
  EXPECT_EQ(shape.hidden, 64);
  EXPECT_EQ(shape.ffn, 128);
  EXPECT_EQ(shape.max_positions, 32);
  EXPECT_EQ(shape.pad_id, 3);
}

}  // namespace
}  // namespace bertcram::model
