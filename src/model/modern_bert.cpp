#include "modern_bert.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include "bertcram/nn/functional.h"
#include "bertcram/util/error.h"
#include "layer_input.h"

namespace bertcram::model {

ModernBert::ModernBert(const EncoderShape& shape, ClassifierPooling pooling, const nn::Parameters& parameters,
                       const std::string& prefix)
    : Encoder(shape, parameters, prefix), pooling_(pooling) {
  for (int64_t i = 0; i < shape.layers; ++i) {
    const std::string layer = cat("model.layers.", i);
    layers_.push_back({.attention_norm = i == 0 ? at::Tensor() : leaf(layer + ".attn_norm.weight"),
                       .qkv = leaf(layer + ".attn.Wqkv.weight"),
                       .attention_output = leaf(layer + ".attn.Wo.weight"),
                       .mlp_norm = leaf(layer + ".mlp_norm.weight"),
                       .mlp_input = leaf(layer + ".mlp.Wi.weight"),
                       .mlp_output = leaf(layer + ".mlp.Wo.weight"),
                       .is_global = i % shape.global_every == 0});
  }
}

at::Tensor ModernBert::norm(const at::Tensor& x, const at::Tensor& weight) const {
  return nn::layer_norm(x, weight, {}, shape().layer_norm_eps);
}

LayerInput ModernBert::layer_input(const EncoderInput& input, int64_t longest) const {
  LayerInput shared = Encoder::layer_input(input, longest);
  const at::TensorOptions options = input.ids.options().dtype(at::kLong);
  const at::Tensor positions = shared.positions.defined() ? shared.positions : at::arange(input.ids.size(1), options);
  const int64_t head_dim = shape().hidden / shape().heads;
  shared.global_rotary = nn::rotary_tables(positions, head_dim, shape().global_rope_theta);
  if (shape().global_every == 1) {
    return shared;
  }
  shared.local_rotary = nn::rotary_tables(positions, head_dim, shape().local_rope_theta);
  shared.local_bias = input.key_bias;
  const int64_t reach = shape().local_attention / 2;
  if (reach < longest - 1) {  // otherwise every token sees its whole sequence
    const at::Tensor window = nn::window_bias(longest, reach, options.dtype(parameters().compute_type()));
    shared.local_bias = input.key_bias.defined() ? nn::window_of_padded(window, input.key_bias) : window;
  }
  return shared;
}

/// Lookups and their norm in fp32, as in Bert::embed.
at::Tensor ModernBert::embed(const EncoderInput& input, const LayerInput& /*layer_input*/,
                             const nn::Dropout& dropout) const {
  const at::Tensor words = nn::embedding(parameters().master_leaf("model.embeddings.tok_embeddings.weight"), input.ids);
  const at::Tensor normed = norm(words, parameters().master_leaf("model.embeddings.norm.weight"));
  return nn::dropout(normed, dropout).to(parameters().compute_type());  // [batch, seq, hidden]
}

at::Tensor ModernBert::run_layer(size_t layer_index, const at::Tensor& x, const LayerInput& input,
                                 const at::Tensor& positions, const nn::Dropout& dropout) const {
  const Layer& layer = layers_[layer_index];
  const at::Tensor normed = layer.attention_norm.defined() ? norm(x, layer.attention_norm) : x;
  const at::Tensor qkv = nn::rotate(nn::linear(normed, layer.qkv, {}),
                                    layer.is_global ? input.global_rotary : input.local_rotary, shape().heads);
  const at::Tensor mixed = nn::attention(qkv, layer.is_global ? input.global_mask() : input.local_mask(),
                                         {.heads = shape().heads, .dropout = dropout.at(0)});
  const at::Tensor attended = nn::linear(states_at(mixed, positions), layer.attention_output, {});
  const auto [middle, middle_normed] = nn::add_norm(states_at(x, positions), nn::dropout(attended, dropout.at(1)),
                                                    layer.mlp_norm, {}, shape().layer_norm_eps);
  const at::Tensor gated = nn::geglu(nn::linear(middle_normed, layer.mlp_input, {}));  // [..., ffn]
  return middle + nn::linear(nn::dropout(gated, dropout.at(2)), layer.mlp_output, {});
}

at::Tensor ModernBert::finish(const at::Tensor& x) const { return norm(x, leaf("model.final_norm.weight")); }

at::Tensor ModernBert::transform(const at::Tensor& states) const {
  return norm(nn::gelu(nn::linear(states, leaf("head.dense.weight"), {})), leaf("head.norm.weight"));
}

at::Tensor ModernBert::classify(const EncoderInput& input, const EncodeOptions& options) const {
  const at::Tensor pooled = pooling_ == ClassifierPooling::kMean
                                ? mean_of_tokens(encode(input, options), input)
                                : encode_at(input, first_positions(input), options);  // [sequences, hidden]
  const at::Tensor transformed = nn::dropout(transform(pooled), options.dropout.at(kHeadPlace));
  return class_scores(transformed);
}

at::Tensor ModernBert::classify_tokens(const at::Tensor& states, const nn::Dropout& dropout) const {
  const at::Tensor transformed = nn::dropout(transform(states), dropout.at(kHeadPlace));
  return nn::linear(transformed, leaf("classifier.weight"), leaf("classifier.bias")).to(at::kFloat);
}

}  // namespace bertcram::model
