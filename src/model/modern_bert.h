#pragma once
// ModernBERT (Warner et al. 2024) as Hugging Face computes it: pre-norm encoder without biases, gated feed-forward
// layers, rotary positions, and optionally layers that see only near tokens.

#include <string>
#include <vector>

#include "bertcram/model/encoder.h"

namespace bertcram::model {

class ModernBert : public Encoder {
 public:
  ModernBert(const EncoderShape& shape, ClassifierPooling pooling, const nn::Parameters& parameters,
             const std::string& prefix);

  /// From the first token or the mean: dense, GELU, norm, dense.
  at::Tensor classify(const EncoderInput& input, const EncodeOptions& options) const override;
  at::Tensor classify_tokens(const at::Tensor& states, const nn::Dropout& dropout) const override;

 protected:
  at::Tensor embed(const EncoderInput& input, const LayerInput& layer_input, const nn::Dropout& dropout) const override;
  at::Tensor run_layer(size_t layer, const at::Tensor& x, const LayerInput& input, const at::Tensor& positions,
                       const nn::Dropout& dropout) const override;
  at::Tensor finish(const at::Tensor& x) const override;
  at::Tensor transform(const at::Tensor& states) const override;
  LayerInput layer_input(const EncoderInput& input, int64_t longest) const override;

 private:
  struct Layer {
    at::Tensor attention_norm;  ///< undefined in the first layer
    at::Tensor qkv;
    at::Tensor attention_output;
    at::Tensor mlp_norm;
    at::Tensor mlp_input;
    at::Tensor mlp_output;
    bool is_global = true;
  };
  at::Tensor norm(const at::Tensor& x, const at::Tensor& weight) const;

  ClassifierPooling pooling_;
  std::vector<Layer> layers_;
};

}  // namespace bertcram::model
