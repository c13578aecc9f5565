#pragma once
// An encoder and its heads. The mathematics only; the numbers live in nn::Parameters.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bertcram/model/shape.h"
#include "bertcram/nn/dropout.h"
#include "bertcram/nn/masked_lm_loss.h"
#include "bertcram/nn/parameters.h"

namespace bertcram::model {

/// What the encoder reads: full rows, padded rows, or one row of sequences of any length. The three give the same states
/// for the same sequences, up to rounding.
struct EncoderInput {
  at::Tensor ids;               ///< [batch, seq] int32 or int64 in [0, vocab)
  at::Tensor token_types = {};  ///< [batch, seq] likewise in [0, token_types); undefined = all 0; `modern` has none
  at::Tensor key_bias = {};     ///< [batch, 1, 1, seq] compute type, 0 or -inf; undefined = no padding anywhere
  /// Empty: every row is a sequence. Otherwise batch is 1, there is no key_bias, and sequence i is the columns
  /// [cu_seqlens[i], cu_seqlens[i + 1]), which see only each other.
  std::vector<int64_t> cu_seqlens = {};
};

/// Whether the backward pass computes each layer's activations again: less memory, a third more time, equal gradients.
enum class Recompute { kNever, kPerLayer };

struct EncodeOptions {
  nn::Dropout dropout = {};  ///< of hidden states and attention
  Recompute recompute = Recompute::kNever;
};

struct LayerInput;

/// Binds the parameters of one model; holds views, copies nothing. The Parameters must outlive it.
class Encoder {
 public:
  Encoder(const EncoderShape& shape, const nn::Parameters& parameters, const std::string& prefix);
  virtual ~Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  const EncoderShape& shape() const { return shape_; }

  /// Hidden states behind the last layer and its norm. With recomputation the encoder must live until the backward pass.
  /// @return [batch, seq, hidden], compute type
  /// @throws DataError if a sequence has more tokens than the model positions; ShapeError
  at::Tensor encode(const EncoderInput& input, const EncodeOptions& options = {}) const;
  /// Some of these states: behind its attention the last layer does nothing for the others. Where a loss reads one token in
  /// seven, this leaves out most of a layer, forward and backward, and changes no number but by rounding.
  /// @param positions  [n] int64 into the flattened [batch * seq]
  /// @return           [n, hidden], compute type
  at::Tensor encode_at(const EncoderInput& input, const at::Tensor& positions, const EncodeOptions& options = {}) const;

  /// Summed loss of the masked LM's predictions in nats, see nn::masked_lm_loss_sum.
  /// @param states   [masked, hidden], of the masked positions
  /// @param targets  [masked] int64 in [0, vocab)
  /// @return         [] fp32
  at::Tensor masked_lm_loss(const at::Tensor& states, const at::Tensor& targets) const;
  /// The same, and a token drawn from each prediction. @return see nn::masked_lm_loss_and_samples
  nn::SampledLoss masked_lm_loss_and_samples(const at::Tensor& states, const at::Tensor& targets) const;
  /// The predictions' scores before softmax. @param states [masked, hidden]  @return [masked, vocab] fp32
  at::Tensor masked_lm_logits(const at::Tensor& states) const;

  /// Scores of the classes (or one value) of every sequence of the input. @return [sequences, outputs] fp32
  virtual at::Tensor classify(const EncoderInput& input, const EncodeOptions& options = {}) const = 0;
  /// Scores of the classes of every token. @param states [batch, seq, hidden]  @return [batch, seq, outputs] fp32
  virtual at::Tensor classify_tokens(const at::Tensor& states, const nn::Dropout& dropout = {}) const = 0;

 protected:
  /// @return [batch, seq, hidden], compute type
  virtual at::Tensor embed(const EncoderInput& input, const LayerInput& layer_input,
                           const nn::Dropout& dropout) const = 0;
  /// @param positions  as in encode_at, or undefined for all
  /// @return           [batch, seq, hidden] or [n, hidden]
  virtual at::Tensor run_layer(size_t layer, const at::Tensor& x, const LayerInput& input, const at::Tensor& positions,
                               const nn::Dropout& dropout) const = 0;
  virtual at::Tensor finish(const at::Tensor& x) const = 0;
  /// Of gathered states, before the decoder. @param states [masked, hidden]  @return likewise
  virtual at::Tensor transform(const at::Tensor& states) const = 0;
  /// What all layers read beside the states. @param longest  tokens of the longest sequence
  virtual LayerInput layer_input(const EncoderInput& input, int64_t longest) const;

  const nn::Parameters& parameters() const { return parameters_; }
  /// One of this encoder's own, in the compute type.
  const at::Tensor& leaf(const std::string& name) const;
  /// The classifier's outputs in fp32: in bf16 scores near 4 would be 1/32 apart. @param states [batch, hidden]
  at::Tensor class_scores(const at::Tensor& states) const;

 private:
  EncoderShape shape_;
  const nn::Parameters& parameters_;
  std::string prefix_;
};

/// An encoder of the shape's architecture with this head, whose parameters are there.
/// @param prefix  before the names of all parameters but the embeddings, which a small second encoder shares
std::unique_ptr<Encoder> make_encoder(const EncoderShape& shape, const Head& head, const nn::Parameters& parameters,
                                      const std::string& prefix = "");

/// Of the first token of every sequence. @return [sequences] int64, for encode_at
at::Tensor first_positions(const EncoderInput& input);
/// The mean over the tokens of every sequence. @param states [batch, seq, hidden]  @return [sequences, hidden]
at::Tensor mean_of_tokens(const at::Tensor& states, const EncoderInput& input);

}  // namespace bertcram::model
