// Configurations of Hugging Face, read and written.

#include "bertcram/model/hub_config.h"

#include <gtest/gtest.h>

#include <limits>
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
}

std::string shape_refusal(json config, const char* key, const json& value) {
  config[key] = value;
  return message_of<DataError>([&] { shape_from_hub_config(config, "config.json"); });
}

// What used to be undefined: no layers and an empty list of their kinds, sizes beyond any number, heads of -1.
TEST(HubConfig, SizesThatAreNoneAreRefusedBeforeAnythingIsMadeOfThem) {
  json empty = to_hub_config(kModern, {});
  empty["layer_types"] = json::array();
  EXPECT_TRUE(contains(shape_refusal(empty, "num_hidden_layers", 0), "config.json: num_hidden_layers = 0"));
  EXPECT_TRUE(contains(shape_refusal(empty, "num_hidden_layers", 2), "layer_types"));
  const json config = to_hub_config(kModern, {});
  const auto least = std::numeric_limits<int64_t>::min();
  EXPECT_TRUE(contains(shape_refusal(config, "hidden_size", least), "config.json: hidden_size"));
  EXPECT_TRUE(contains(shape_refusal(config, "num_attention_heads", -1), "config.json: num_attention_heads = -1"));
  for (const json& odd : {json(768.5), json(1e300), json(true), json("768"), json(~uint64_t{0}), json::array()}) {
    EXPECT_TRUE(contains(shape_refusal(config, "hidden_size", odd), "config.json: hidden_size = " + odd.dump()));
  }
  EXPECT_TRUE(contains(shape_refusal(config, "pad_token_id", 4'294'967'299), "config.json: pad_token_id"));
  EXPECT_TRUE(contains(shape_refusal(config, "pad_token_id", true), "config.json: pad_token_id"));
  for (const json& odd : {json(0), json(-0.02), json("x"), json(1e30)}) {
    EXPECT_TRUE(contains(shape_refusal(config, "initializer_range", odd), "config.json: initializer_range"));
  }
  json without = config;
  without.erase("vocab_size");
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { shape_from_hub_config(without, "x"); }), "x: vocab_size is missing"));
}

TEST(HubConfig, NoThetaOfLocalLayersIsThatOfTheGlobalOnes) {  // as transformers 4.48 has it
  json config = to_hub_config(kModern, {});
  config["global_rope_theta"] = 77.0;
  config["local_rope_theta"] = nullptr;
  EXPECT_EQ(shape_from_hub_config(config, "x").local_rope_theta, 77.0);
  config.erase("local_rope_theta");
  EXPECT_EQ(shape_from_hub_config(config, "x").local_rope_theta, 10'000.0);
}

TEST(HubConfig, AnotherNameForGeluIsRead) {
  json bert = to_hub_config(kBase, {});
  bert["hidden_act"] = "gelu_python";
  EXPECT_TRUE(shape_from_hub_config(bert, "x") == kBase);
  json modern = to_hub_config(kModern, {});
  modern["hidden_activation"] = "gelu_python";
  modern["classifier_activation"] = "gelu_python";
  EXPECT_TRUE(shape_from_hub_config(modern, "x") == kModern);
  EXPECT_EQ(head_from_hub_config(modern, "x").refusal, "");
}

TEST(HubConfig, RotaryPositionsThatAreScaledOrUnknownAreRefused) {
  const json config = to_hub_config(kModern, {});
  const json base = {{"rope_type", "default"}, {"rope_theta", 1e4}};
  for (const json& odd :
       {json{{"rope_type", "yarn"}, {"factor", 4.0}, {"rope_theta", 1e4}},  // not by kind of layer
        json{{"full_attention", "x"}}, json{{"other_attention", base}}, json("yarn"), json::array({base}),
        json{{"full_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}, {"factor", 2.0}}}},
        json{{"full_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}, {"partial_rotary_factor", 0.5}}}},
        json{{"sliding_attention", {{"rope_theta", 0.5}}}}}) {
    EXPECT_TRUE(contains(shape_refusal(config, "rope_parameters", odd), "rope_parameters")) << odd;
  }
  const json linear = {{"full_attention", {{"factor", 2.0}, {"rope_type", "linear"}, {"rope_theta", 1e4}}}};
  EXPECT_TRUE(contains(shape_refusal(config, "rope_parameters", linear), "rope_type = \"linear\" is not supported"));
  json fine = config;
  fine["rope_parameters"] = {{"full_attention", nullptr}};
  EXPECT_EQ(shape_from_hub_config(fine, "x").global_rope_theta, kModern.global_rope_theta);
}

// An encoder can be used whatever its head is.
TEST(HubConfig, WhatIsNotComputedOfAHeadIsSaidToThoseWhoNeedIt) {
  const auto refusal = [](const json& config) { return head_from_hub_config(config, "config.json").refusal; };
  const Head classifier = {.kind = HeadKind::kClassifier, .outputs = 2};
  for (const auto& [key, value] : std::vector<std::pair<std::string, json>>{
           {"classifier_bias", true}, {"classifier_activation", "relu"}, {"classifier_pooling", "max"}}) {
    json config = to_hub_config(kModern, classifier);
    EXPECT_EQ(refusal(config), "");
    config[key] = value;
    EXPECT_TRUE(contains(refusal(config), "config.json: " + key));
    config[key] = nullptr;
    EXPECT_EQ(refusal(config), "") << key;
  }
  for (const EncoderShape& shape : {kBase, kModern}) {
    json config = to_hub_config(shape, classifier);
    config["problem_type"] = "multi_label_classification";
    EXPECT_TRUE(contains(refusal(config), "config.json: problem_type"));
    config["problem_type"] = nullptr;
    config["id2label"] = nullptr;
    EXPECT_EQ(refusal(config), "");
    EXPECT_EQ(head_from_hub_config(config, "x").outputs, 2);
  }
  json config = to_hub_config(kModern, classifier);
  config["decoder_bias"] = false;
  EXPECT_EQ(refusal(config), "") << "a classifier has no decoder";
  config["architectures"] = {"ModernBertForMaskedLM"};
  EXPECT_TRUE(contains(refusal(config), "config.json: decoder_bias"));
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
  mean["architectures"] = {"ModernBertForMaskedLM"};
  EXPECT_EQ(head_from_hub_config(mean, "x").pooling, ClassifierPooling::kMean) << "for classifiers made of it";
}

// Found by review: `eval --task` and `predict` blamed --max-tokens, which nobody had given.
TEST(HubConfig, ALimitOfTextsThatIsTooSmallIsTheFoldersFault) {
  const auto limit = [](int64_t tokens) {
    json config = to_hub_config(kBase, {.kind = HeadKind::kClassifier, .outputs = 2});
    config["bertcram_max_tokens"] = tokens;
    return head_from_hub_config(config, "config.json").max_tokens;
  };
  EXPECT_EQ(limit(0), 0) << "unknown";
  EXPECT_EQ(limit(kFewestTaskTokens), kFewestTaskTokens);
  for (int64_t tokens = 1; tokens < kFewestTaskTokens; ++tokens) {
    EXPECT_TRUE(contains(message_of<DataError>([&] { limit(tokens); }), cat("bertcram_max_tokens = ", tokens)));
  }
}

TEST(HubConfig, HeadsThatRotaryPositionsCannotTurnAreRefused) {
  json config = to_hub_config(kModern, {});
  config["hidden_size"] = 12 * 7;
  EXPECT_TRUE(contains(message_of<DataError>([&] { shape_from_hub_config(config, "x"); }), "even"));
}

}  // namespace
}  // namespace bertcram::model
