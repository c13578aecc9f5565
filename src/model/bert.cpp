#include "bertcram/model/bert.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tanh.h>

#include "bertcram/nn/functional.h"
#include "bertcram/nn/masked_lm_loss.h"
#include "bertcram/util/error.h"

namespace bertcram::model {

Bert::Bert(const BertShape& shape, const nn::Parameters& parameters) : shape_(shape), parameters_(parameters) {
  const auto affine = [&](const std::string& name) -> Affine {
    return {parameters.leaf(name + ".weight"), parameters.leaf(name + ".bias")};
  };
  for (int64_t i = 0; i < shape.layers; ++i) {
    const std::string prefix = cat("bert.encoder.layer.", i);
    layers_.push_back({.qkv = affine(prefix + ".attention.self.qkv"),
                       .attention_output = affine(prefix + ".attention.output.dense"),
                       .attention_norm = affine(prefix + ".attention.output.LayerNorm"),
                       .intermediate = affine(prefix + ".intermediate.dense"),
                       .output = affine(prefix + ".output.dense"),
                       .output_norm = affine(prefix + ".output.LayerNorm")});
  }
}

at::Tensor Bert::norm(const at::Tensor& x, const Affine& affine) const {
  return nn::layer_norm(x, affine.weight, affine.bias, shape_.layer_norm_eps);
}

/// Lookups and their norm in fp32: a frequent token's gradient is a sum of hundreds of terms, too many for bf16.
at::Tensor Bert::embed(const EncoderInput& input, double dropout) const {
  const int64_t seq = input.ids.size(1);
  if (seq > shape_.max_positions) {
    throw DataError(
        cat("a sequence of ", seq, " tokens is longer than the ", shape_.max_positions, " positions of the model"));
  }
  const auto table = [&](const char* name) -> const at::Tensor& {
    return parameters_.master_leaf(std::string("bert.embeddings.") + name);
  };
  const at::Tensor words = at::embedding(table("word_embeddings.weight"), input.ids);  // [batch, seq, hidden]
  const at::Tensor positions = table("position_embeddings.weight").narrow(0, 0, seq);  // [seq, hidden]
  const at::Tensor& type_table = table("token_type_embeddings.weight");
  const at::Tensor types = input.token_types.defined() ? at::embedding(type_table, input.token_types)
                                                       : type_table.select(0, 0);  // [..., hidden]
  const at::Tensor sum = words + positions + types;
  const at::Tensor normed =
      nn::layer_norm(sum, table("LayerNorm.weight"), table("LayerNorm.bias"), shape_.layer_norm_eps);
  return nn::dropout(normed, dropout).to(parameters_.compute_type());
}

at::Tensor Bert::run_layer(const Layer& layer, const at::Tensor& x, const at::Tensor& key_bias, double dropout) const {
  const at::Tensor qkv = nn::linear(x, layer.qkv.weight, layer.qkv.bias);  // [batch, seq, 3 hidden]
  const at::Tensor mixed = nn::attention(qkv, key_bias, {.heads = shape_.heads, .dropout = dropout});
  const at::Tensor attended = nn::linear(mixed, layer.attention_output.weight, layer.attention_output.bias);
  const at::Tensor middle = norm(x + nn::dropout(attended, dropout), layer.attention_norm);  // [batch, seq, hidden]
  const at::Tensor wide = nn::gelu(nn::linear(middle, layer.intermediate.weight, layer.intermediate.bias));
  const at::Tensor narrow = nn::linear(wide, layer.output.weight, layer.output.bias);
  return norm(middle + nn::dropout(narrow, dropout), layer.output_norm);
}

at::Tensor Bert::encode(const EncoderInput& input, double dropout) const {
  at::Tensor x = embed(input, dropout);
  for (const Layer& layer : layers_) {
    x = run_layer(layer, x, input.key_bias, dropout);
  }
  return x;
}

at::Tensor Bert::masked_states(const at::Tensor& states, const at::Tensor& positions) const {
  const auto leaf = [&](const char* name) -> const at::Tensor& {
    return parameters_.leaf(std::string("cls.predictions.transform.") + name);
  };
  const at::Tensor gathered = at::index_select(states.flatten(0, 1), 0, positions);  // [masked, hidden]
  const at::Tensor transformed = nn::gelu(nn::linear(gathered, leaf("dense.weight"), leaf("dense.bias")));
  return nn::layer_norm(transformed, leaf("LayerNorm.weight"), leaf("LayerNorm.bias"), shape_.layer_norm_eps);
}

at::Tensor Bert::masked_lm_loss(const at::Tensor& states, const at::Tensor& positions,
                                const at::Tensor& targets) const {
  return nn::masked_lm_loss_sum(masked_states(states, positions),
                                parameters_.leaf("bert.embeddings.word_embeddings.weight"),
                                parameters_.leaf("cls.predictions.bias"), targets);
}

at::Tensor Bert::masked_lm_logits(const at::Tensor& states, const at::Tensor& positions) const {
  return nn::masked_lm_logits(masked_states(states, positions),
                              parameters_.leaf("bert.embeddings.word_embeddings.weight"),
                              parameters_.leaf("cls.predictions.bias"));
}

at::Tensor Bert::classify(const at::Tensor& states, double dropout) const {
  const at::Tensor first = states.select(1, 0);  // [batch, hidden]
  const at::Tensor pooled = at::tanh(
      nn::linear(first, parameters_.leaf("bert.pooler.dense.weight"), parameters_.leaf("bert.pooler.dense.bias")));
  return nn::linear(nn::dropout(pooled, dropout), parameters_.leaf("classifier.weight"),
                    parameters_.leaf("classifier.bias"))
      .to(at::kFloat);  // [batch, outputs]
}

}  // namespace bertcram::model
