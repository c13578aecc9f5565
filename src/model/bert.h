#pragma once
// BERT (Devlin et al. 2019): post-norm Transformer encoder with learned positions.

#include <string>
#include <vector>

#include "bertcram/model/encoder.h"

namespace bertcram::model {

class Bert : public Encoder {
 public:
  Bert(const EncoderShape& shape, const nn::Parameters& parameters, const std::string& prefix);

  /// From the pooled first token: dense, tanh, dense.
  at::Tensor classify(const EncoderInput& input, const EncodeOptions& options) const override;
  at::Tensor classify_tokens(const at::Tensor& states, const nn::Dropout& dropout) const override;

 protected:
  at::Tensor embed(const EncoderInput& input, const LayerInput& layer_input, const nn::Dropout& dropout) const override;
  at::Tensor run_layer(size_t layer, const at::Tensor& x, const LayerInput& input, const at::Tensor& positions,
                       const nn::Dropout& dropout) const override;
  at::Tensor finish(const at::Tensor& x) const override { return x; }
  at::Tensor transform(const at::Tensor& states) const override;

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
  Affine affine(const std::string& name) const;
  at::Tensor norm(const at::Tensor& x, const Affine& affine) const;
  /// The norm of their sum.
  at::Tensor add_norm(const at::Tensor& x, const at::Tensor& branch, const Affine& affine) const;

  std::vector<Layer> layers_;
};

}  // namespace bertcram::model
