#pragma once
// BERT (Devlin et al. 2019): post-norm Transformer encoder with learned positions, and its heads. The mathematics only;
// the numbers live in nn::Parameters.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "bertcram/model/shape.h"
#include "bertcram/nn/parameters.h"

namespace bertcram::model {

/// What the encoder reads.
struct EncoderInput {
  at::Tensor ids;          ///< [batch, seq] int32 or int64 in [0, vocab)
  at::Tensor token_types;  ///< [batch, seq] likewise in [0, token_types); undefined = all 0
  at::Tensor key_bias;     ///< [batch, 1, 1, seq] compute type, 0 or -inf; undefined = no padding anywhere
};

/// Binds the parameters of one model; holds views, copies nothing. The Parameters must outlive it.
class Bert {
 public:
  Bert(const BertShape& shape, const nn::Parameters& parameters);

  const BertShape& shape() const { return shape_; }

  /// Hidden states of the last layer. @param dropout in [0, 1), of hidden states and attention; 0 outside training
  /// @return [batch, seq, hidden], compute type  @throws DataError if seq is more than the model's positions
  at::Tensor encode(const EncoderInput& input, double dropout) const;

  /// States that the masked-LM decoder reads: gathered at `positions`, transformed, normalised.
  /// @param states     [batch, seq, hidden]
  /// @param positions  [masked] int64 into the flattened [batch * seq]
  /// @return           [masked, hidden]
  at::Tensor masked_states(const at::Tensor& states, const at::Tensor& positions) const;

  /// Summed loss of the predictions in nats, see nn::masked_lm_loss_sum.
  /// @param states     [batch, seq, hidden]
  /// @param positions  [masked] int64 into the flattened [batch * seq]
  /// @param targets    [masked] int64 in [0, vocab)
  /// @return           [] fp32
  at::Tensor masked_lm_loss(const at::Tensor& states, const at::Tensor& positions, const at::Tensor& targets) const;
  /// The predictions' scores before softmax; arguments as above. @return [masked, vocab] fp32
  at::Tensor masked_lm_logits(const at::Tensor& states, const at::Tensor& positions) const;

  /// Pooled first token → classes (or one value). @param states [batch, seq, hidden]  @return [batch, outputs] fp32
  at::Tensor classify(const at::Tensor& states, double dropout) const;

 private:
  struct Affine {
    at::Tensor weight;
    at::Tensor bias;
  };
  struct Layer {
    Affine qkv;
    Affine attention_output;
    Affine attention_norm;
    Affine intermediate;
    Affine output;
    Affine output_norm;
  };
  at::Tensor embed(const EncoderInput& input, double dropout) const;
  at::Tensor run_layer(const Layer& layer, const at::Tensor& x, const at::Tensor& key_bias, double dropout) const;
  at::Tensor norm(const at::Tensor& x, const Affine& affine) const;

  BertShape shape_;
  const nn::Parameters& parameters_;
  std::vector<Layer> layers_;
};

}  // namespace bertcram::model
