#include "bert.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tanh.h>

#include "bertcram/nn/functional.h"
#include "bertcram/util/error.h"
#include "layer_input.h"

namespace bertcram::model {

Bert::Bert(const EncoderShape& shape, const nn::Parameters& parameters, const std::string& prefix)
    : Encoder(shape, parameters, prefix) {
  for (int64_t i = 0; i < shape.layers; ++i) {
    const std::string layer = cat("bert.encoder.layer.", i);
    layers_.push_back({.qkv = affine(layer + ".attention.self.qkv"),
                       .attention_output = affine(layer + ".attention.output.dense"),
                       .attention_norm = affine(layer + ".attention.output.LayerNorm"),
                       .intermediate = affine(layer + ".intermediate.dense"),
                       .output = affine(layer + ".output.dense"),
                       .output_norm = affine(layer + ".output.LayerNorm")});
  }
}

Bert::Affine Bert::affine(const std::string& name) const { return {leaf(name + ".weight"), leaf(name + ".bias")}; }

at::Tensor Bert::norm(const at::Tensor& x, const Affine& affine) const {
  return nn::layer_norm(x, affine.weight, affine.bias, shape().layer_norm_eps);
}

at::Tensor Bert::add_norm(const at::Tensor& x, const at::Tensor& branch, const Affine& affine) const {
  return nn::add_norm(x, branch, affine.weight, affine.bias, shape().layer_norm_eps).normed;
}

/// Lookups and their norm in fp32: a frequent token's gradient is a sum of hundreds of terms, too many for bf16.
at::Tensor Bert::embed(const EncoderInput& input, const LayerInput& layer_input, const nn::Dropout& dropout) const {
  const auto table = [&](const char* name) -> const at::Tensor& {
    return parameters().master_leaf(std::string("bert.embeddings.") + name);
  };
  const at::Tensor words = nn::embedding(table("word_embeddings.weight"), input.ids);  // [batch, seq, hidden]
  const at::Tensor& position_table = table("position_embeddings.weight");
  const at::Tensor positions = layer_input.positions.defined()
                                   ? nn::embedding(position_table, layer_input.positions)
                                   : position_table.narrow(0, 0, input.ids.size(1));  // [seq, hidden]
  const at::Tensor& type_table = table("token_type_embeddings.weight");
  const at::Tensor types = input.token_types.defined() ? nn::embedding(type_table, input.token_types)
                                                       : type_table.select(0, 0);  // [..., hidden]
  const at::Tensor sum = words + positions + types;
  const at::Tensor normed =
      nn::layer_norm(sum, table("LayerNorm.weight"), table("LayerNorm.bias"), shape().layer_norm_eps);
  return nn::dropout(normed, dropout).to(parameters().compute_type());
}

at::Tensor Bert::run_layer(size_t layer_index, const at::Tensor& x, const LayerInput& input,
                           const at::Tensor& positions, const nn::Dropout& dropout) const {
  const Layer& layer = layers_[layer_index];
  const at::Tensor qkv = nn::linear(x, layer.qkv.weight, layer.qkv.bias);  // [batch, seq, 3 hidden]
  const at::Tensor mixed = nn::attention(qkv, input.global_mask(), {.heads = shape().heads, .dropout = dropout.at(0)});
  const at::Tensor attended =
      nn::linear(states_at(mixed, positions), layer.attention_output.weight, layer.attention_output.bias);
  const at::Tensor middle =
      add_norm(states_at(x, positions), nn::dropout(attended, dropout.at(1)), layer.attention_norm);
  const at::Tensor wide = nn::gelu(nn::linear(middle, layer.intermediate.weight, layer.intermediate.bias));
  const at::Tensor narrow = nn::linear(wide, layer.output.weight, layer.output.bias);
  return add_norm(middle, nn::dropout(narrow, dropout.at(2)), layer.output_norm);
}

at::Tensor Bert::transform(const at::Tensor& states) const {
  const Affine dense = affine("cls.predictions.transform.dense");
  return norm(nn::gelu(nn::linear(states, dense.weight, dense.bias)), affine("cls.predictions.transform.LayerNorm"));
}

at::Tensor Bert::classify(const EncoderInput& input, const EncodeOptions& options) const {
  const at::Tensor states = encode_at(input, first_positions(input), options);  // [sequences, hidden]
  const Affine pooler = affine("bert.pooler.dense");
  const at::Tensor pooled = at::tanh(nn::linear(states, pooler.weight, pooler.bias));
  return class_scores(nn::dropout(pooled, options.dropout.at(kHeadPlace)));
}

at::Tensor Bert::classify_tokens(const at::Tensor& states, const nn::Dropout& dropout) const {
  const Affine classifier = affine("classifier");
  return nn::linear(nn::dropout(states, dropout.at(kHeadPlace)), classifier.weight, classifier.bias).to(at::kFloat);
}

}  // namespace bertcram::model
