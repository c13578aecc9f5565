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
constexpr const char* kTextsKey = "bertcram_texts";

// Layer kinds of ModernBertConfig.
constexpr const char* kFull = "full_attention";
constexpr const char* kSliding = "sliding_attention";

constexpr double kLeastTheta = config::kLeastRopeTheta;
constexpr double kMostTheta = config::kMostRopeTheta;

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

/// Two names for GELU with the error function.
void require_gelu(const json& config, const char* key, const std::string& where) {
  if (config.value(key, json()) != "gelu_python") {
    require_value(config, key, "gelu", where);
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

/// A value, or nullptr if it is absent or null.
const json* find(const json& config, const char* key) {
  const auto found = config.find(key);
  return found == config.end() || found->is_null() ? nullptr : &*found;
}

struct Bounds {
  int64_t low = 1;
  int64_t high = 10'000'000;
};

/// A whole number within its bounds; what a machine could hold. @param fallback if it may be absent
int64_t whole_number(const json& config, const char* key, Bounds bounds, std::optional<int64_t> fallback,
                     const std::string& where) {
  const json* found = find(config, key);
  if (found == nullptr) {
    return fallback ? *fallback : throw DataError(cat(where, ": ", key, " is missing"));
  }
  const bool is_huge = found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(bounds.high);
  if (!found->is_number_integer() || is_huge || found->get<int64_t>() < bounds.low ||
      found->get<int64_t>() > bounds.high) {
    throw DataError(cat(where, ": ", key, " = ", found->dump(), ", expected a whole number from ", bounds.low, " to ",
                        bounds.high));
  }
  return found->get<int64_t>();
}

/// A number between two others.
double number(const json& config, const char* key, double above, double below, double fallback,
              const std::string& where) {
  const json* found = find(config, key);
  const double value = found == nullptr ? fallback : found->is_number() ? found->get<double>() : above;
  if (!(value > above && value < below)) {
    throw DataError(cat(where, ": ", key, " = ", found->dump(), ", expected a number between ", above, " and ", below));
  }
  return value;
}

/// What both architectures name alike.
EncoderShape common_shape(const json& config, Arch arch, const std::string& where) {
  constexpr int64_t kMaxWidth = 1'000'000;
  const auto required = [&](const char* key, int64_t high = Bounds{}.high) {
    return whole_number(config, key, {.high = high}, std::nullopt, where);
  };
  EncoderShape shape;
  shape.arch = arch;
  shape.vocab = required("vocab_size");
  shape.hidden = required("hidden_size", kMaxWidth);
  shape.layers = required("num_hidden_layers", 10'000);
  shape.heads = required("num_attention_heads", shape.hidden);
  shape.ffn = required("intermediate_size", kMaxWidth);
  shape.max_positions = required("max_position_embeddings");
  shape.pad_id = static_cast<int32_t>(
      whole_number(config, "pad_token_id", {.low = 0, .high = shape.vocab - 1}, int64_t{0}, where));
  shape.init_std = number(config, "initializer_range", 0.0, 1e3, 0.02, where);
  const auto words = config::enum_words(WeightInit{});
  const auto published = arch == Arch::kBert ? WeightInit::kBert : WeightInit::kModern;
  const auto word = std::ranges::find(words, config.value(kInitKey, ""));
  shape.init = word == words.end() ? published : static_cast<WeightInit>(word - words.begin());
  if (shape.hidden % shape.heads != 0) {
    throw DataError(
        cat(where, ": hidden_size ", shape.hidden, " is not a multiple of num_attention_heads ", shape.heads));
  }
  return shape;
}

EncoderShape bert_shape(const json& config, const std::string& where) {
  require_gelu(config, "hidden_act", where);
  require_value(config, "position_embedding_type", "absolute", where);
  EncoderShape shape = common_shape(config, Arch::kBert, where);
  shape.token_types = whole_number(config, "type_vocab_size", {.high = 10'000}, int64_t{2}, where);
  shape.layer_norm_eps = number(config, "layer_norm_eps", 0.0, 1.0, 1e-12, where);
  return shape;
}

/// Every how many layers one is global, from transformers 5's list of layer kinds or the number that came before it.
int64_t global_every(const json& config, int64_t layers, const std::string& where) {
  const json* kinds = find(config, "layer_types");
  if (kinds == nullptr) {
    return whole_number(config, "global_attn_every_n_layers", {}, int64_t{3}, where);
  }
  const auto list = kinds->get<std::vector<std::string>>();
  const auto second = list.empty() ? list.end() : std::find(list.begin() + 1, list.end(), kFull);
  const int64_t every = second - list.begin();
  bool is_regular = std::ssize(list) == layers;
  for (int64_t i = 0; i < std::ssize(list); ++i) {
    is_regular = is_regular && list[static_cast<size_t>(i)] == (i % every == 0 ? kFull : kSliding);
  }
  if (!is_regular) {
    throw DataError(cat(where, ": layer_types = ", kinds->dump(),
                        " is not supported, expected one full_attention every n layers from the first on, the others "
                        "sliding_attention"));
  }
  return every;
}

/// Theta of one kind of layer. @param fallback  where rope_parameters does not say
double rope_theta(const json& parameters, const char* kind, double fallback, const std::string& where) {
  const json* own = find(parameters, kind);
  if (own == nullptr) {
    return fallback;
  }
  const std::string path = cat(where, ": rope_parameters.", kind);
  require_value(*own, "rope_type", "default", path);
  for (const auto& [key, value] : own->items()) {  // nothing else has a meaning there
    if (key != "rope_theta") {
      require_value(*own, key.c_str(), key == "partial_rotary_factor" ? json(1.0) : json("default"), path);
    }
  }
  return number(*own, "rope_theta", kLeastTheta, kMostTheta, fallback, path);
}

void read_rotary(const json& config, EncoderShape& shape, const std::string& where) {
  require_value(config, "rope_scaling", nullptr, where);
  shape.global_rope_theta = number(config, "global_rope_theta", kLeastTheta, kMostTheta, 160'000.0, where);
  const auto local = config.find("local_rope_theta");  // transformers 4: null means as the global layers
  const double local_default = local != config.end() && local->is_null() ? shape.global_rope_theta : 10'000.0;
  shape.local_rope_theta = number(config, "local_rope_theta", kLeastTheta, kMostTheta, local_default, where);
  const json* parameters = find(config, "rope_parameters");
  if (parameters == nullptr) {
    return;
  }
  for (const auto& [kind, value] : parameters->items()) {
    if ((kind != kFull && kind != kSliding) || !(value.is_object() || value.is_null())) {
      throw DataError(cat(where, ": rope_parameters = ", parameters->dump(), " is not supported, expected ", kFull,
                          " and ", kSliding, " with a rope_theta each"));
    }
  }
  shape.global_rope_theta = rope_theta(*parameters, kFull, shape.global_rope_theta, where);
  shape.local_rope_theta = rope_theta(*parameters, kSliding, shape.local_rope_theta, where);
}

EncoderShape modern_shape(const json& config, const std::string& where) {
  require_gelu(config, "hidden_activation", where);
  for (const char* key : {"norm_bias", "attention_bias", "mlp_bias"}) {
    require_value(config, key, false, where);
  }
  EncoderShape shape = common_shape(config, Arch::kModern, where);
  const int64_t head_dim = shape.hidden / shape.heads;
  require_value(config, "head_dim", head_dim, where);
  if (head_dim % 2 != 0) {
    throw DataError(cat(where, ": heads of ", head_dim,
                        " numbers (hidden_size / num_attention_heads); rotary positions need an even number"));
  }
  shape.token_types = 1;
  shape.layer_norm_eps = number(config, "norm_eps", 0.0, 1.0, 1e-5, where);
  shape.local_attention = whole_number(config, "local_attention", {}, int64_t{128}, where);
  shape.global_every = global_every(config, shape.layers, where);
  read_rotary(config, shape, where);
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
  const json* given = find(config, "id2label");
  const json words = given == nullptr ? json{{"0", "LABEL_0"}, {"1", "LABEL_1"}} : *given;
  head.outputs = static_cast<int64_t>(words.size());
  for (int64_t id = 0; id < head.outputs; ++id) {
    head.label_words.push_back(words.value(std::to_string(id), cat("LABEL_", id)));
  }
}

/// @throws DataError naming what of the head is not computed here
void require_known_head(const json& config, Arch arch, HeadKind kind, const std::string& where) {
  const bool is_classifier = kind == HeadKind::kClassifier || kind == HeadKind::kTokenClassifier;
  if (is_classifier && config.value("problem_type", json()) != "regression") {
    require_value(config, "problem_type", "single_label_classification", where);
  }
  if (arch == Arch::kModern) {
    require_value(config, "classifier_bias", false, where);
    require_gelu(config, "classifier_activation", where);
    if (kind == HeadKind::kMaskedLm) {
      require_value(config, "decoder_bias", true, where);
    }
    if (kind == HeadKind::kClassifier && config.value("classifier_pooling", json()) != "mean") {
      require_value(config, "classifier_pooling", "cls", where);
    }
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
    if (head.texts > 0) {
      config[kTextsKey] = head.texts;
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
    return type == "bert" ? bert_shape(config, where) : modern_shape(config, where);
  } catch (const json::exception& error) {
    throw DataError(cat(where, ": not a BERT or ModernBERT configuration (", util::json_error_text(error.what()), ")"));
  }
}

Head head_from_hub_config(const json& config, const std::string& where) {
  try {
    const Arch arch = config.value("model_type", "bert") == "modernbert" ? Arch::kModern : Arch::kBert;
    Head head;
    if (const json* classes = find(config, "architectures"); classes != nullptr && !classes->empty()) {
      head.kind = kind_of(classes->at(0).get<std::string>(), arch).value_or(HeadKind::kNone);
    }
    if (arch == Arch::kModern && config.value("classifier_pooling", json()) == "mean") {
      head.pooling = ClassifierPooling::kMean;
    }
    if (head.kind == HeadKind::kClassifier || head.kind == HeadKind::kTokenClassifier) {
      read_labels(config, head);
      head.max_tokens = whole_number(config, kMaxTokensKey, {.low = 0}, int64_t{0}, where);
      if (head.max_tokens > 0 && head.max_tokens < kFewestTaskTokens) {
        throw DataError(cat(where, ": ", kMaxTokensKey, " = ", head.max_tokens, ", expected at least ",
                            kFewestTaskTokens, ", or 0 where it is not known"));
      }
      head.texts = whole_number(config, kTextsKey, {.low = 0, .high = 2}, int64_t{0}, where);
    }
    if (head.kind != HeadKind::kNone) {
      try {
        require_known_head(config, arch, head.kind, where);
      } catch (const DataError& error) {
        head.refusal = error.what();
      }
    }
    return head;
  } catch (const json::exception& error) {
    throw DataError(cat(where, ": architectures or id2label is not what Hugging Face writes (",
                        util::json_error_text(error.what()), ")"));
  }
}

}  // namespace bertcram::model
