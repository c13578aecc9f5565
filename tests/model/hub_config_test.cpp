// Configurations of Hugging Face, read and written.

#include "bertcram/model/hub_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "util/test_support.h"

namespace bertcram::model {
namespace {

using config::Arch;
using nlohmann::json;
using test::contains;
using test::message_of;

const EncoderShape kBase = {.vocab = 30522};
const EncoderShape kModern = {.arch = Arch::kModern, .vocab = 30522, .token_types = 1};

TEST(HubConfig, ReadsBackWhatItWrites) {
  const EncoderShape odd = {.vocab = 999,
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
  const EncoderShape modern = {.arch = config::Arch::kModern,
                               .vocab = 999,
                               .hidden = 24,
                               .layers = 5,
                               .heads = 4,
                               .ffn = 50,
                               .max_positions = 77,
                               .token_types = 1,
                               .layer_norm_eps = 1e-7,
                               .init_std = 0.3,
                               .pad_id = 5,
                               .init = config::WeightInit::kModern,
                               .global_every = 3,
                               .local_attention = 32,
                               .global_rope_theta = 12345,
                               .local_rope_theta = 678};
  for (const EncoderShape& shape : {kBase, odd, modern}) {
    EXPECT_TRUE(shape_from_hub_config(json::parse(to_hub_config(shape, {}).dump()), "x") == shape);
  }
}

TEST(HubConfig, HeadsReadBackWithTheirLabels) {
  EXPECT_EQ(head_from_hub_config(to_hub_config(kBase, {}), "x").kind, HeadKind::kMaskedLm);
  const Head three = {.kind = HeadKind::kClassifier, .outputs = 3, .label_words = {"no", "yes", "maybe"}};
  const json config = to_hub_config(kBase, three);
  EXPECT_EQ(head_from_hub_config(config, "x").label_words, three.label_words);
  EXPECT_EQ(config["label2id"]["maybe"], 2);
  EXPECT_EQ(config["problem_type"], "single_label_classification");
  const json regression = to_hub_config(kBase, {.kind = HeadKind::kClassifier, .outputs = 1});
  EXPECT_EQ(regression["problem_type"], "regression");
  EXPECT_EQ(head_from_hub_config(regression, "x").outputs, 1);
}

// Hugging Face leaves the default two labels out of config.json.
TEST(HubConfig, AClassifierWithoutLabelsHasTwo) {
  const Head head = head_from_hub_config({{"architectures", {"BertForSequenceClassification"}}}, "x");
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
      head_from_hub_config(odd, "x");
    } catch (const DataError&) {  // anything else would fail the test
    }
  }
}

TEST(HubConfig, UnsupportedFeaturesOfModernBertAreRefusedByName) {
  const json full = {{"rope_type", "default"}, {"rope_theta", 1e4}};
  const std::vector<std::pair<std::string, json>> unsupported = {
      {"hidden_activation", "silu"},
      {"norm_bias", true},
      {"attention_bias", true},
      {"mlp_bias", true},
      {"tie_word_embeddings", false},
      {"head_dim", 32},
      {"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}},
      {"rope_parameters", {{"full_attention", {{"rope_type", "yarn"}, {"rope_theta", 1e4}}}}},
      {"layer_types", {"sliding_attention", "full_attention"}},
      {"quantization_config", {{"bits", 4}}}};
  for (const auto& [key, value] : unsupported) {
    json config = to_hub_config(kModern, {});
    config[key] = value;
    const std::string message =
        message_of<DataError>([&config = config] { shape_from_hub_config(config, "config.json"); });
    EXPECT_TRUE(contains(message, key)) << message;
    EXPECT_TRUE(contains(message, "not supported, expected")) << message;
  }
  for (const auto& [key, value] : std::vector<std::pair<std::string, json>>{{"classifier_bias", true},
                                                                            {"decoder_bias", false},
                                                                            {"classifier_activation", "relu"},
                                                                            {"classifier_pooling", "max"}}) {
    json config = to_hub_config(kModern, {});
    config[key] = value;
    EXPECT_TRUE(contains(message_of<DataError>([&config = config] { head_from_hub_config(config, "config.json"); }),
                         "config.json: " + key));
  }
}

// As transformers 5 writes it; 4.48 wrote the number of layers between two global ones.
TEST(HubConfig, LayerKindsOfBothGenerationsAreRead) {
  json config = to_hub_config(kModern, {});
  config["num_hidden_layers"] = 5;
  for (const char* key : {"global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"}) {
    config.erase(key);
  }
  EXPECT_EQ(shape_from_hub_config(config, "x").global_every, 3) << "the default";
  EXPECT_EQ(shape_from_hub_config(config, "x").global_rope_theta, 160'000.0);
  EXPECT_EQ(shape_from_hub_config(config, "x").local_rope_theta, 10'000.0);
  const char* full = "full_attention";
  const char* sliding = "sliding_attention";
  config["rope_parameters"] = {{full, {{"rope_type", "default"}, {"rope_theta", 5e5}}},
                               {sliding, {{"rope_type", "default"}, {"rope_theta", 2e4}}}};
  config["layer_types"] = {full, sliding, full, sliding, full};
  EXPECT_EQ(shape_from_hub_config(config, "x").global_every, 2);
  EXPECT_EQ(shape_from_hub_config(config, "x").global_rope_theta, 5e5);
  EXPECT_EQ(shape_from_hub_config(config, "x").local_rope_theta, 2e4);
  config["layer_types"] = {full, full, full, full, full};
  EXPECT_EQ(shape_from_hub_config(config, "x").global_every, 1);
  config["layer_types"] = {full, sliding, sliding, sliding, sliding};
  EXPECT_EQ(shape_from_hub_config(config, "x").global_every, 5);
  config["layer_types"] = {full, sliding, full, full, sliding};
  EXPECT_THROW(shape_from_hub_config(config, "x"), DataError);
}

TEST(HubConfig, HeadsAreToldByTheirClass) {
  for (const EncoderShape& shape : {kBase, kModern}) {
    for (const HeadKind kind :
         {HeadKind::kNone, HeadKind::kMaskedLm, HeadKind::kClassifier, HeadKind::kTokenClassifier}) {
      const Head head = {.kind = kind, .outputs = 2, .label_words = {"a", "b"}};
      EXPECT_EQ(head_from_hub_config(to_hub_config(shape, head), "x").kind, kind);
    }
    json config = to_hub_config(shape, {});
    config["architectures"] = {(shape.arch == Arch::kBert ? "Bert" : "ModernBert") +
                               std::string("ForQuestionAnswering")};
    EXPECT_EQ(head_from_hub_config(config, "x").kind, HeadKind::kNone) << "the encoder of an unknown head";
  }
  json mean =
      to_hub_config(kModern, {.kind = HeadKind::kClassifier, .outputs = 2, .pooling = ClassifierPooling::kMean});
  EXPECT_EQ(head_from_hub_config(mean, "x").pooling, ClassifierPooling::kMean);
  mean["problem_type"] = "multi_label_classification";
  EXPECT_TRUE(contains(message_of<DataError>([&] { head_from_hub_config(mean, "config.json"); }), "problem_type"));
}

TEST(HubConfig, HeadsThatRotaryPositionsCannotTurnAreRefused) {
  json config = to_hub_config(kModern, {});
  config["hidden_size"] = 12 * 7;
  EXPECT_TRUE(contains(message_of<DataError>([&] { shape_from_hub_config(config, "x"); }), "even"));
}

}  // namespace
}  // namespace bertcram::model
