#include "bertcram/model/hub_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"

namespace bertcram::model {
namespace {

using config::Arch;
using config::WeightInit;
using nlohmann::json;

constexpr const char* kInitKey = "bertcram_init";  // our own, for random baselines; Hugging Face ignores it
constexpr const char* kMaxTokensKey = "bertcram_max_tokens";

// Layer kinds of ModernBertConfig.
constexpr const char* kFull = "full_attention";
constexpr const char* kSliding = "sliding_attention";

std::string class_prefix(Arch arch) { return arch == Arch::kBert ? "Bert" : "ModernBert"; }

std::string class_name(Arch arch, HeadKind kind) {
  switch (kind) {
    case HeadKind::kNone: return class_prefix(arch) + "Model";
    case HeadKind::kMaskedLm: return class_prefix(arch) + "ForMaskedLM";
    case HeadKind::kClassifier: return class_prefix(arch) + "ForSequenceClassification";
    case HeadKind::kTokenClassifier: return class_prefix(arch) + "ForTokenClassification";
  }
  throw InternalError("unknown HeadKind");
}

/// Refuses a configuration value that would change the mathematics; absent and null mean the default.
void require_value(const json& config, const char* key, const json& expected, const std::string& where) {
  const auto found = config.find(key);
  if (found != config.end() && !found->is_null() && *found != expected) {
    throw DataError(cat(where, ": ", key, " = ", found->dump(), " is not supported, expected ",
                        expected.is_null() ? "none" : expected.dump()));
  }
}

/// What is the same for all models of Hugging Face.
void require_common(const json& config, const std::string& where) {
  require_value(config, "tie_word_embeddings", true, where);
  require_value(config, "is_decoder", false, where);
  require_value(config, "add_cross_attention", false, where);
  require_value(config, "quantization_config", nullptr, where);
  require_value(config, "pruned_heads", json::object(), where);
}

/// A number that may be absent or null.
template <class Number>
Number value_or(const json& config, const char* key, Number fallback) {
  const auto found = config.find(key);
  return found == config.end() || found->is_null() ? fallback : found->get<Number>();
}

/// Sizes that make an encoder and that a machine could hold.
void check_sizes(const EncoderShape& shape, const std::string& where) {
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
  check("global_attn_every_n_layers", shape.global_every, kMaxSize);
  check("local_attention", shape.local_attention, kMaxSize);
  if (shape.pad_id < 0 || shape.pad_id >= shape.vocab) {
    throw DataError(cat(where, ": pad_token_id = ", shape.pad_id, ", expected 0 to ", shape.vocab - 1));
  }
  if (!(shape.layer_norm_eps > 0.0 && shape.layer_norm_eps < 1.0)) {
    throw DataError(cat(where, ": ", shape.arch == Arch::kBert ? "layer_norm_eps" : "norm_eps", " = ",
                        shape.layer_norm_eps, ", expected between 0 and 1"));
  }
  if (shape.hidden % shape.heads != 0) {
    throw DataError(
        cat(where, ": hidden_size ", shape.hidden, " is not a multiple of num_attention_heads ", shape.heads));
  }
  if (shape.arch == Arch::kBert) {
    return;
  }
  if (shape.hidden / shape.heads % 2 != 0) {
    throw DataError(cat(where, ": heads of ", shape.hidden / shape.heads,
                        " numbers (hidden_size / num_attention_heads); rotary positions need an even number"));
  }
  for (const double theta : {shape.global_rope_theta, shape.local_rope_theta}) {
    if (!(theta > 1.0 && theta < 1e15)) {
      throw DataError(cat(where, ": rope_theta = ", theta, ", expected above 1"));
    }
  }
}

/// The sizes that both architectures name alike.
EncoderShape common_shape(const json& config, Arch arch) {
  EncoderShape shape;
  shape.arch = arch;
  shape.vocab = config.at("vocab_size");
  shape.hidden = config.at("hidden_size");
  shape.layers = config.at("num_hidden_layers");
  shape.heads = config.at("num_attention_heads");
  shape.ffn = config.at("intermediate_size");
  shape.max_positions = config.at("max_position_embeddings");
  shape.init_std = value_or(config, "initializer_range", 0.02);
  const auto words = config::enum_words(WeightInit{});
  const auto published = arch == Arch::kBert ? WeightInit::kBert : WeightInit::kModern;
  const auto word = std::ranges::find(words, config.value(kInitKey, ""));
  shape.init = word == words.end() ? published : static_cast<WeightInit>(word - words.begin());
  return shape;
}

EncoderShape bert_shape(const json& config, const std::string& where) {
  require_value(config, "hidden_act", "gelu", where);
  require_value(config, "position_embedding_type", "absolute", where);
  EncoderShape shape = common_shape(config, Arch::kBert);
  shape.token_types = config.value("type_vocab_size", int64_t{2});
  shape.layer_norm_eps = config.value("layer_norm_eps", 1e-12);
  shape.pad_id = value_or(config, "pad_token_id", 0);
  return shape;
}

/// Every how many layers one is global, from transformers 5's list of layer kinds or the number that came before it.
int64_t global_every(const json& config, int64_t layers, const std::string& where) {
  const auto kinds = config.find("layer_types");
  if (kinds == config.end() || kinds->is_null()) {
    return value_or(config, "global_attn_every_n_layers", int64_t{3});
  }
  const auto list = kinds->get<std::vector<std::string>>();
  const auto refuse = [&] {
    throw DataError(cat(where, ": layer_types = ", kinds->dump(),
                        " is not supported, expected one full_attention every n layers from the first on, the others "
                        "sliding_attention"));
  };
  if (std::ssize(list) != layers || list.front() != kFull) {
    refuse();
  }
  const auto second = std::find(list.begin() + 1, list.end(), kFull);
  const int64_t every = second - list.begin();
  for (int64_t i = 0; i < layers; ++i) {
    if (list[static_cast<size_t>(i)] != (i % every == 0 ? kFull : kSliding)) {
      refuse();
    }
  }
  return every;
}

/// Theta of one kind of layer. @param old_key  where transformers 4 has it
double rope_theta(const json& config, const char* kind, const char* old_key, double fallback,
                  const std::string& where) {
  require_value(config, "rope_scaling", nullptr, where);
  const auto parameters = config.find("rope_parameters");
  if (parameters != config.end() && !parameters->is_null()) {
    const auto found = parameters->find(kind);
    if (found != parameters->end() && !found->is_null()) {
      require_value(*found, "rope_type", "default", cat(where, ": rope_parameters.", kind));
      require_value(*found, "partial_rotary_factor", 1.0, cat(where, ": rope_parameters.", kind));
      fallback = value_or(*found, "rope_theta", value_or(config, old_key, fallback));
      return fallback;
    }
  }
  return value_or(config, old_key, fallback);
}

EncoderShape modern_shape(const json& config, const std::string& where) {
  require_value(config, "hidden_activation", "gelu", where);
  for (const char* key : {"norm_bias", "attention_bias", "mlp_bias"}) {
    require_value(config, key, false, where);
  }
  EncoderShape shape = common_shape(config, Arch::kModern);
  require_value(config, "head_dim", shape.heads == 0 ? 0 : shape.hidden / shape.heads, where);
  shape.token_types = 1;
  shape.layer_norm_eps = config.value("norm_eps", 1e-5);
  shape.pad_id = value_or(config, "pad_token_id", 0);
  shape.local_attention = config.value("local_attention", int64_t{128});
  shape.global_every = global_every(config, shape.layers, where);
  shape.global_rope_theta = rope_theta(config, kFull, "global_rope_theta", 160'000.0, where);
  shape.local_rope_theta = rope_theta(config, kSliding, "local_rope_theta", 10'000.0, where);
  return shape;
}

std::optional<HeadKind> kind_of(const std::string& name, Arch arch) {
  if (name == class_prefix(arch) + "ForPreTraining") {  // the masked LM and next-sentence prediction
    return HeadKind::kMaskedLm;
  }
  for (const HeadKind kind :
       {HeadKind::kNone, HeadKind::kMaskedLm, HeadKind::kClassifier, HeadKind::kTokenClassifier}) {
    if (name == class_name(arch, kind)) {
      return kind;
    }
  }
  return std::nullopt;
}

void add_labels(json& config, const Head& head) {
  for (size_t id = 0; id < static_cast<size_t>(head.outputs); ++id) {
    const std::string word = id < head.label_words.size() ? head.label_words[id] : cat("LABEL_", id);
    config["id2label"][std::to_string(id)] = word;
    config["label2id"][word] = id;
  }
}

void read_labels(const json& config, Head& head) {
  // Hugging Face leaves the default out: two labels without names.
  const auto words = config.value("id2label", json{{"0", "LABEL_0"}, {"1", "LABEL_1"}});
  head.outputs = static_cast<int64_t>(words.size());
  for (int64_t id = 0; id < head.outputs; ++id) {
    head.label_words.push_back(words.value(std::to_string(id), cat("LABEL_", id)));
  }
}

json bert_config(const EncoderShape& shape) {
  return {{"model_type", "bert"},
          {"hidden_act", "gelu"},
          {"hidden_dropout_prob", 0.1},
          {"attention_probs_dropout_prob", 0.1},
          {"type_vocab_size", shape.token_types},
          {"layer_norm_eps", shape.layer_norm_eps},
          {"position_embedding_type", "absolute"}};
}

/// With the names of transformers 4.48, which later versions read too.
json modern_config(const EncoderShape& shape, const Head& head) {
  return {{"model_type", "modernbert"},
          {"hidden_activation", "gelu"},
          {"classifier_activation", "gelu"},
          {"classifier_pooling", head.pooling == ClassifierPooling::kMean ? "mean" : "cls"},
          {"norm_eps", shape.layer_norm_eps},
          {"norm_bias", false},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"classifier_bias", false},
          {"decoder_bias", true},
          {"attention_dropout", 0.0},
          {"embedding_dropout", 0.0},
          {"mlp_dropout", 0.0},
          {"classifier_dropout", 0.0},
          {"global_attn_every_n_layers", shape.global_every},
          {"local_attention", shape.local_attention},
          {"global_rope_theta", shape.global_rope_theta},
          {"local_rope_theta", shape.local_rope_theta},
          // Its defaults are ids of another vocabulary.
          {"bos_token_id", nullptr},
          {"eos_token_id", nullptr},
          {"cls_token_id", nullptr},
          {"sep_token_id", nullptr}};
}

}  // namespace

json to_hub_config(const EncoderShape& shape, const Head& head) {
  json config = shape.arch == Arch::kBert ? bert_config(shape) : modern_config(shape, head);
  config.update({{"architectures", {class_name(shape.arch, head.kind)}},
                 {"vocab_size", shape.vocab},
                 {"hidden_size", shape.hidden},
                 {"num_hidden_layers", shape.layers},
                 {"num_attention_heads", shape.heads},
                 {"intermediate_size", shape.ffn},
                 {"max_position_embeddings", shape.max_positions},
                 {"initializer_range", shape.init_std},
                 {"pad_token_id", shape.pad_id},
                 {kInitKey, config::enum_words(shape.init)[static_cast<size_t>(shape.init)]},
                 {"tie_word_embeddings", true},
                 {"dtype", "float32"},
                 {"torch_dtype", "float32"}});
  if (head.kind == HeadKind::kClassifier) {
    config["problem_type"] = head.outputs == 1 ? "regression" : "single_label_classification";
    if (head.max_tokens > 0) {
      config[kMaxTokensKey] = head.max_tokens;
    }
  }
  if (head.kind == HeadKind::kClassifier || head.kind == HeadKind::kTokenClassifier) {
    add_labels(config, head);
  }
  return config;
}

EncoderShape shape_from_hub_config(const json& config, const std::string& where) {
  try {
    const json& type = config.at("model_type");
    if (type != "bert" && type != "modernbert") {
      throw DataError(
          cat(where, ": model_type ", type.dump(), " is not supported, expected \"bert\" or \"modernbert\""));
    }
    require_common(config, where);
    const EncoderShape shape = type == "bert" ? bert_shape(config, where) : modern_shape(config, where);
    check_sizes(shape, where);
    return shape;
  } catch (const json::exception& error) {
    throw DataError(cat(where, ": not a BERT or ModernBERT configuration (", util::json_error_text(error.what()), ")"));
  }
}

Head head_from_hub_config(const json& config, const std::string& where) {
  try {
    const Arch arch = config.value("model_type", "bert") == "modernbert" ? Arch::kModern : Arch::kBert;
    const auto architectures = config.value("architectures", json::array());
    Head head;
    if (!architectures.empty()) {
      head.kind = kind_of(architectures.at(0).get<std::string>(), arch).value_or(HeadKind::kNone);
    }
    if (head.kind == HeadKind::kClassifier || head.kind == HeadKind::kTokenClassifier) {
      require_value(config, "problem_type",
                    config.value("problem_type", "") == "regression" ? "regression" : "single_label_classification",
                    where);
      read_labels(config, head);
      head.max_tokens = config.value(kMaxTokensKey, int64_t{0});
    }
    if (arch == Arch::kModern && head.kind != HeadKind::kNone) {
      require_value(config, "classifier_bias", false, where);
      require_value(config, "classifier_activation", "gelu", where);
      require_value(config, "decoder_bias", true, where);
      const auto pooling = config.value("classifier_pooling", "cls");
      if (pooling == "mean") {
        head.pooling = ClassifierPooling::kMean;
      } else {
        require_value(config, "classifier_pooling", "cls", where);
      }
    }
    return head;
  } catch (const json::exception& error) {
    throw DataError(cat(where, ": architectures or id2label is not what Hugging Face writes (",
                        util::json_error_text(error.what()), ")"));
  }
}

}  // namespace bertcram::model
