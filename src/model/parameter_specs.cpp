#include "bertcram/model/parameter_specs.h"

#include <cmath>

#include "bertcram/util/error.h"

namespace bertcram::model {
namespace {

using config::Arch;
using config::WeightInit;
using nn::Group;
using nn::Init;
using nn::ParameterSpec;

/// What a matrix does, which decides how it starts.
enum class Role {
  kTable,       ///< looked up by token or token type
  kPositions,   ///< looked up by position
  kInner,       ///< reads the residual stream
  kQkv,         ///< likewise, packed query, key and value
  kResidual,    ///< writes into the residual stream
  kTransform,   ///< dense layer of a head
  kClassifier,  ///< last layer of a classifier
};

struct Start {
  Init init = Init::kNormal;
  double scale = 1.0;
};

/// The rule of config::WeightInit.
Start start_of(Role role, const EncoderShape& shape) {
  const double residual_scale = 1.0 / std::sqrt(2.0 * static_cast<double>(shape.layers));
  switch (shape.init) {
    case WeightInit::kBert: return {};
    case WeightInit::kShortRun:
      switch (role) {
        case Role::kPositions: return {.init = Init::kSinusoid};
        case Role::kQkv: return {.init = Init::kSimilarity};
        case Role::kResidual: return {.scale = residual_scale};
        default: return {};
      }
    case WeightInit::kModern:
      switch (role) {
        case Role::kResidual:
        case Role::kTransform: return {.init = Init::kTruncatedNormal, .scale = residual_scale};
        case Role::kClassifier:
          return {.init = Init::kTruncatedNormal,
                  .scale = 1.0 / (std::sqrt(static_cast<double>(shape.hidden)) * shape.init_std)};
        default: return {.init = Init::kTruncatedNormal};
      }
  }
  throw InternalError("unknown WeightInit");
}

Group group_of(Role role) {
  const bool is_table = role == Role::kTable || role == Role::kPositions || role == Role::kClassifier;
  return is_table ? Group::kTable : Group::kMatrix;
}

/// Collects specs of one model.
class SpecList {
 public:
  explicit SpecList(const EncoderShape& shape) : shape_(shape) {}

  void weight(const std::string& name, Role role, std::vector<int64_t> sizes, int64_t blocks = 1) {
    const Start start = start_of(role, shape_);
    specs_.push_back({.leaf = name,
                      .parts = {name},
                      .shape = std::move(sizes),
                      .init = start.init,
                      .init_scale = start.scale,
                      .group = group_of(role),
                      .blocks = blocks});
  }
  void bias(const std::string& name, int64_t size) {
    specs_.push_back({.leaf = name, .parts = {name}, .shape = {size}, .init = Init::kZeros, .group = Group::kVector});
  }
  /// With a bias.
  void dense(const std::string& name, Role role, int64_t out, int64_t in) {
    weight(name + ".weight", role, {out, in});
    bias(name + ".bias", out);
  }
  void norm_weight(const std::string& name, int64_t size) {
    specs_.push_back({.leaf = name + ".weight",
                      .parts = {name + ".weight"},
                      .shape = {size},
                      .init = Init::kOnes,
                      .group = Group::kVector});
  }
  void norm(const std::string& name, int64_t size) {
    norm_weight(name, size);
    bias(name + ".bias", size);
  }
  /// Query, key and value as one matrix product; stored as three tensors.
  void three_part_qkv(const std::string& self) {
    const Start start = start_of(Role::kQkv, shape_);
    ParameterSpec weight = {.leaf = self + ".qkv.weight",
                            .parts = {},
                            .shape = {3 * shape_.hidden, shape_.hidden},
                            .init = start.init,
                            .init_scale = start.scale,
                            .blocks = 3};
    ParameterSpec bias = {.leaf = self + ".qkv.bias",
                          .parts = {},
                          .shape = {3 * shape_.hidden},
                          .init = Init::kZeros,
                          .group = Group::kVector};
    for (const char* part : {"query", "key", "value"}) {
      weight.parts.push_back(self + "." + part + ".weight");
      bias.parts.push_back(self + "." + part + ".bias");
    }
    specs_.push_back(std::move(weight));
    specs_.push_back(std::move(bias));
  }

  std::vector<ParameterSpec> take() { return std::move(specs_); }

 private:
  const EncoderShape& shape_;
  std::vector<ParameterSpec> specs_;
};

void add_bert(SpecList& list, const EncoderShape& shape, const Head& head) {
  const int64_t hidden = shape.hidden;
  list.weight("bert.embeddings.word_embeddings.weight", Role::kTable, {shape.vocab, hidden});
  list.weight("bert.embeddings.position_embeddings.weight", Role::kPositions, {shape.max_positions, hidden});
  list.weight("bert.embeddings.token_type_embeddings.weight", Role::kTable, {shape.token_types, hidden});
  list.norm("bert.embeddings.LayerNorm", hidden);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = cat("bert.encoder.layer.", layer);
    list.three_part_qkv(prefix + ".attention.self");
    list.dense(prefix + ".attention.output.dense", Role::kResidual, hidden, hidden);
    list.norm(prefix + ".attention.output.LayerNorm", hidden);
    list.dense(prefix + ".intermediate.dense", Role::kInner, shape.ffn, hidden);
    list.dense(prefix + ".output.dense", Role::kResidual, hidden, shape.ffn);
    list.norm(prefix + ".output.LayerNorm", hidden);
  }
  switch (head.kind) {
    case HeadKind::kNone: return;
    case HeadKind::kMaskedLm:
      list.dense("cls.predictions.transform.dense", Role::kTransform, hidden, hidden);
      list.norm("cls.predictions.transform.LayerNorm", hidden);
      list.bias("cls.predictions.bias", shape.vocab);
      return;
    case HeadKind::kClassifier:
      list.dense("bert.pooler.dense", Role::kTransform, hidden, hidden);
      list.dense("classifier", Role::kClassifier, head.outputs, hidden);
      return;
    case HeadKind::kTokenClassifier: list.dense("classifier", Role::kClassifier, head.outputs, hidden); return;
  }
}

void add_modern(SpecList& list, const EncoderShape& shape, const Head& head) {
  const int64_t hidden = shape.hidden;
  list.weight("model.embeddings.tok_embeddings.weight", Role::kTable, {shape.vocab, hidden});
  list.norm_weight("model.embeddings.norm", hidden);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = cat("model.layers.", layer);
    if (layer > 0) {  // the first layer reads what the embedding norm has just normalised
      list.norm_weight(prefix + ".attn_norm", hidden);
    }
    list.weight(prefix + ".attn.Wqkv.weight", Role::kQkv, {3 * hidden, hidden}, /*blocks=*/3);
    list.weight(prefix + ".attn.Wo.weight", Role::kResidual, {hidden, hidden});
    list.norm_weight(prefix + ".mlp_norm", hidden);
    list.weight(prefix + ".mlp.Wi.weight", Role::kInner, {2 * shape.ffn, hidden}, /*blocks=*/2);
    list.weight(prefix + ".mlp.Wo.weight", Role::kResidual, {hidden, shape.ffn});
  }
  list.norm_weight("model.final_norm", hidden);
  if (head.kind == HeadKind::kNone) {
    return;
  }
  list.weight("head.dense.weight", Role::kTransform, {hidden, hidden});
  list.norm_weight("head.norm", hidden);
  if (head.kind == HeadKind::kMaskedLm) {
    list.bias("decoder.bias", shape.vocab);
  } else {
    list.dense("classifier", Role::kClassifier, head.outputs, hidden);
  }
}

}  // namespace

std::vector<ParameterSpec> parameter_specs(const EncoderShape& shape, const Head& head) {
  SpecList list(shape);
  (shape.arch == Arch::kBert ? add_bert : add_modern)(list, shape, head);
  return list.take();
}

std::vector<ParameterSpec> replaced_token_specs(const EncoderShape& discriminator, const EncoderShape& generator) {
  std::vector<ParameterSpec> specs = parameter_specs(discriminator, replaced_token_head());
  for (ParameterSpec& spec : parameter_specs(generator, {.kind = HeadKind::kMaskedLm})) {
    if (!is_embedding(spec.leaf, generator.arch)) {
      spec.leaf = kGeneratorPrefix + spec.leaf;
      for (std::string& part : spec.parts) {
        part.insert(0, kGeneratorPrefix);
      }
      specs.push_back(std::move(spec));
    }
  }
  return specs;
}

Head replaced_token_head() {
  return {.kind = HeadKind::kTokenClassifier, .outputs = 2, .label_words = {"original", "replaced"}};
}

std::string word_embeddings_name(config::Arch arch) {
  return arch == Arch::kBert ? "bert.embeddings.word_embeddings.weight" : "model.embeddings.tok_embeddings.weight";
}

std::string decoder_bias_name(config::Arch arch) {
  return arch == Arch::kBert ? "cls.predictions.bias" : "decoder.bias";
}

std::string encoder_prefix(config::Arch arch) { return arch == Arch::kBert ? "bert." : "model."; }

bool is_embedding(const std::string& name, Arch arch) { return name.starts_with(encoder_prefix(arch) + "embeddings."); }

bool is_tasks_own(const std::string& name) { return name.starts_with("classifier."); }

}  // namespace bertcram::model
