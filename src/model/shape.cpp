#include "bertcram/model/shape.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"

namespace bertcram::model {
namespace {

using nlohmann::json;
using nn::Decay;
using nn::Init;
using nn::ParameterSpec;

/// Collects specs under a common prefix.
class SpecList {
 public:
  explicit SpecList(std::vector<ParameterSpec>& specs) : specs_(specs) {}

  void weight(const std::string& name, std::vector<int64_t> shape) {
    specs_.push_back({.leaf = name, .parts = {name}, .shape = std::move(shape)});
  }
  void dense(const std::string& name, int64_t out, int64_t in) {
    weight(name + ".weight", {out, in});
    bias(name + ".bias", out);
  }
  void bias(const std::string& name, int64_t size) {
    specs_.push_back({.leaf = name, .parts = {name}, .shape = {size}, .init = Init::kZeros, .decay = Decay::kNo});
  }
  void norm(const std::string& name, int64_t size) {
    specs_.push_back({.leaf = name + ".weight",
                      .parts = {name + ".weight"},
                      .shape = {size},
                      .init = Init::kOnes,
                      .decay = Decay::kNo});
    bias(name + ".bias", size);
  }
  void scale_init(const std::string& name, double scale) {
    std::ranges::find(specs_, name, &ParameterSpec::leaf)->init_scale = scale;
  }
  /// Query, key and value as one matrix product; stored as three tensors.
  void packed_qkv(const std::string& self, int64_t hidden, Init init) {
    std::vector<std::string> weights;
    std::vector<std::string> biases;
    for (const char* part : {"query", "key", "value"}) {
      weights.push_back(self + "." + part + ".weight");
      biases.push_back(self + "." + part + ".bias");
    }
    specs_.push_back({.leaf = self + ".qkv.weight", .parts = weights, .shape = {3 * hidden, hidden}, .init = init});
    specs_.push_back({.leaf = self + ".qkv.bias",
                      .parts = biases,
                      .shape = {3 * hidden},
                      .init = Init::kZeros,
                      .decay = Decay::kNo});
  }

 private:
  std::vector<ParameterSpec>& specs_;
};

/// Refuses a configuration value that would change the mathematics.
void require_value(const json& config, const char* key, const json& expected, const std::string& where) {
  if (config.contains(key) && config.at(key) != expected) {
    throw DataError(
        cat(where, ": ", key, " = ", config.at(key).dump(), " is not supported, expected ", expected.dump()));
  }
}

/// Sizes that make an encoder and that a machine could hold.
void check_sizes(const BertShape& shape, const std::string& where) {
  constexpr int64_t kMaxSize = 10'000'000;
  constexpr int64_t kMaxWidth = 1'000'000;
  const auto check = [&](const char* key, int64_t value, int64_t most) {
    if (value < 1 || value > most) {
      throw DataError(cat(where, ": ", key, " = ", value, ", expected 1 to ", most));
    }
  };
  check("vocab_size", shape.vocab, kMaxSize);
  check("max_position_embeddings", shape.max_positions, kMaxSize);
  check("hidden_size", shape.hidden, kMaxWidth);
  check("intermediate_size", shape.ffn, kMaxWidth);
  check("num_hidden_layers", shape.layers, 10'000);
  check("num_attention_heads", shape.heads, shape.hidden);
  check("type_vocab_size", shape.token_types, 10'000);
  if (shape.pad_id < 0 || shape.pad_id >= shape.vocab) {
    throw DataError(cat(where, ": pad_token_id = ", shape.pad_id, ", expected 0 to ", shape.vocab - 1));
  }
  if (!(shape.layer_norm_eps > 0.0 && shape.layer_norm_eps < 1.0)) {
    throw DataError(cat(where, ": layer_norm_eps = ", shape.layer_norm_eps, ", expected between 0 and 1"));
  }
  if (shape.hidden % shape.heads != 0) {
    throw DataError(
        cat(where, ": hidden_size ", shape.hidden, " is not a multiple of num_attention_heads ", shape.heads));
  }
}

}  // namespace

BertShape make_shape(const config::ModelConfig& config, int64_t vocab, int32_t pad_id) {
  return {.vocab = vocab,
          .hidden = config.hidden,
          .layers = config.layers,
          .heads = config.heads,
          .ffn = config.ffn,
          .max_positions = config.max_positions,
          .token_types = 2,
          .layer_norm_eps = config.layer_norm_eps,
          .init_std = config.init_std,
          .pad_id = pad_id,
          .init = config.init};
}

std::vector<ParameterSpec> parameter_specs(const BertShape& shape, const Head& head) {
  std::vector<ParameterSpec> specs;
  SpecList list(specs);
  const int64_t hidden = shape.hidden;
  const bool is_short_run = shape.init == config::WeightInit::kShortRun;
  const double residual_scale = 1.0 / std::sqrt(2.0 * static_cast<double>(shape.layers));
  list.weight("bert.embeddings.word_embeddings.weight", {shape.vocab, hidden});
  list.weight("bert.embeddings.position_embeddings.weight", {shape.max_positions, hidden});
  if (is_short_run) {
    specs.back().init = Init::kSinusoid;
  }
  list.weight("bert.embeddings.token_type_embeddings.weight", {shape.token_types, hidden});
  list.norm("bert.embeddings.LayerNorm", hidden);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = cat("bert.encoder.layer.", layer);
    list.packed_qkv(prefix + ".attention.self", hidden, is_short_run ? Init::kSimilarity : Init::kNormal);
    list.dense(prefix + ".attention.output.dense", hidden, hidden);
    list.norm(prefix + ".attention.output.LayerNorm", hidden);
    list.dense(prefix + ".intermediate.dense", shape.ffn, hidden);
    list.dense(prefix + ".output.dense", hidden, shape.ffn);
    list.norm(prefix + ".output.LayerNorm", hidden);
    if (is_short_run) {
      list.scale_init(prefix + ".attention.output.dense.weight", residual_scale);
      list.scale_init(prefix + ".output.dense.weight", residual_scale);
    }
  }
  if (head.kind == HeadKind::kMaskedLm) {
    list.dense("cls.predictions.transform.dense", hidden, hidden);
    list.norm("cls.predictions.transform.LayerNorm", hidden);
    list.bias("cls.predictions.bias", shape.vocab);
  } else if (head.kind == HeadKind::kClassifier) {
    list.dense("bert.pooler.dense", hidden, hidden);
    list.dense("classifier", head.outputs, hidden);
  }
  return specs;
}

json to_hub_config(const BertShape& shape, const Head& head) {
  json config = {{"model_type", "bert"},
                 {"vocab_size", shape.vocab},
                 {"hidden_size", shape.hidden},
                 {"num_hidden_layers", shape.layers},
                 {"num_attention_heads", shape.heads},
                 {"intermediate_size", shape.ffn},
                 {"hidden_act", "gelu"},
                 {"hidden_dropout_prob", 0.1},
                 {"attention_probs_dropout_prob", 0.1},
                 {"max_position_embeddings", shape.max_positions},
                 {"type_vocab_size", shape.token_types},
                 {"initializer_range", shape.init_std},
                 {"layer_norm_eps", shape.layer_norm_eps},
                 {"pad_token_id", shape.pad_id},
                 {"position_embedding_type", "absolute"},
                 // Our own key, for random baselines of the same shape; Hugging Face ignores it.
                 {"bertcram_init", config::enum_words(shape.init)[static_cast<size_t>(shape.init)]},
                 {"tie_word_embeddings", true},
                 {"dtype", "float32"},
                 {"torch_dtype", "float32"}};
  if (head.kind == HeadKind::kMaskedLm) {
    config["architectures"] = {"BertForMaskedLM"};
    return config;
  }
  if (head.kind == HeadKind::kNone) {
    config["architectures"] = {"BertModel"};
    return config;
  }
  config["architectures"] = {"BertForSequenceClassification"};
  config["problem_type"] = head.outputs == 1 ? "regression" : "single_label_classification";
  if (head.max_tokens > 0) {
    config["bertcram_max_tokens"] = head.max_tokens;  // our own key, as above
  }
  for (size_t id = 0; id < static_cast<size_t>(head.outputs); ++id) {
    const std::string word = id < head.label_words.size() ? head.label_words[id] : cat("LABEL_", id);
    config["id2label"][std::to_string(id)] = word;
    config["label2id"][word] = id;
  }
  return config;
}

BertShape shape_from_hub_config(const json& config, const std::string& where) {
  try {
    if (config.at("model_type") != "bert") {
      throw DataError(
          cat(where, ": model_type ", config.at("model_type").dump(), " is not supported, expected \"bert\""));
    }
    require_value(config, "hidden_act", "gelu", where);
    require_value(config, "position_embedding_type", "absolute", where);
    require_value(config, "is_decoder", false, where);
    require_value(config, "tie_word_embeddings", true, where);
    BertShape shape;
    shape.vocab = config.at("vocab_size");
    shape.hidden = config.at("hidden_size");
    shape.layers = config.at("num_hidden_layers");
    shape.heads = config.at("num_attention_heads");
    shape.ffn = config.at("intermediate_size");
    shape.max_positions = config.at("max_position_embeddings");
    shape.token_types = config.value("type_vocab_size", int64_t{2});
    shape.layer_norm_eps = config.value("layer_norm_eps", 1e-12);
    shape.init_std = config.value("initializer_range", 0.02);
    shape.pad_id = config.value("pad_token_id", 0);
    const bool is_short_run = config.value("bertcram_init", "bert") == "short-run";
    shape.init = is_short_run ? config::WeightInit::kShortRun : config::WeightInit::kBert;
    check_sizes(shape, where);
    return shape;
  } catch (const json::exception& error) {
    throw DataError(cat(where, ": not a BERT configuration (", util::json_error_text(error.what()), ")"));
  }
}

Head head_from_hub_config(const json& config) {
  try {
    const auto architectures = config.value("architectures", json::array());
    if (!architectures.empty() && architectures.at(0) == "BertModel") {
      return {.kind = HeadKind::kNone, .label_words = {}};
    }
    if (architectures.empty() || architectures.at(0) != "BertForSequenceClassification") {
      return {};
    }
    // Hugging Face leaves the default out: two labels without names.
    const auto words = config.value("id2label", json{{"0", "LABEL_0"}, {"1", "LABEL_1"}});
    Head head{.kind = HeadKind::kClassifier,
              .outputs = static_cast<int64_t>(words.size()),
              .label_words = {},
              .max_tokens = config.value("bertcram_max_tokens", int64_t{0})};
    for (int64_t id = 0; id < head.outputs; ++id) {
      head.label_words.push_back(words.value(std::to_string(id), cat("LABEL_", id)));
    }
    return head;
  } catch (const json::exception& error) {
    throw DataError(cat("config.json: architectures or id2label is not what Hugging Face writes (",
                        util::json_error_text(error.what()), ")"));
  }
}

double flops_per_token(const BertShape& shape, int64_t seq_len, double decoded_share) {
  const auto hidden = static_cast<double>(shape.hidden);
  const auto layers = static_cast<double>(shape.layers);
  const double per_layer = 4 * hidden * hidden + 2 * hidden * static_cast<double>(shape.ffn);
  const double head = decoded_share * (static_cast<double>(shape.vocab) * hidden + hidden * hidden);
  return 6 * layers * per_layer + 6 * head + 12 * layers * static_cast<double>(seq_len) * hidden;
}

}  // namespace bertcram::model
