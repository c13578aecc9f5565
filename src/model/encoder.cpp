#include "bertcram/model/encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "bert.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/nn/masked_lm_loss.h"
#include "bertcram/nn/recompute.h"
#include "bertcram/nn/to_device.h"
#include "bertcram/util/error.h"
#include "layer_input.h"
#include "modern_bert.h"

namespace bertcram::model {
namespace {

/// Tokens of the longest sequence. @throws ShapeError
int64_t longest_sequence(const EncoderInput& input) {
  if (input.ids.dim() != 2) {
    throw ShapeError(cat("encode: ids has shape ", input.ids.sizes(), ", expected [batch, seq]"));
  }
  const std::vector<int64_t>& starts = input.cu_seqlens;
  if (starts.empty()) {
    return input.ids.size(1);
  }
  int64_t longest = 0;
  bool is_rising = starts.size() > 1 && starts.front() == 0 && starts.back() == input.ids.size(1);
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    is_rising = is_rising && starts[i] < starts[i + 1];
    longest = std::max(longest, starts[i + 1] - starts[i]);
  }
  if (!is_rising || input.ids.size(0) != 1 || input.key_bias.defined()) {
    throw ShapeError(cat("encode: cu_seqlens asks for one row without key_bias and rises from 0 to its ",
                         input.ids.size(1), " tokens; ids has shape ", input.ids.sizes()));
  }
  return longest;
}

at::Tensor positions_of(const EncoderInput& input) {
  if (input.cu_seqlens.empty()) {
    return {};
  }
  const at::Tensor positions = at::empty({input.ids.size(1)}, at::kLong);
  auto* const out = positions.data_ptr<int64_t>();
  for (size_t i = 0; i + 1 < input.cu_seqlens.size(); ++i) {
    std::iota(out + input.cu_seqlens[i], out + input.cu_seqlens[i + 1], int64_t{0});
  }
  return nn::to_device(positions, input.ids.device());
}

}  // namespace

Encoder::Encoder(const EncoderShape& shape, const nn::Parameters& parameters, const std::string& prefix)
    : shape_(shape), parameters_(parameters), prefix_(prefix) {}

const at::Tensor& Encoder::leaf(const std::string& name) const { return parameters_.leaf(prefix_ + name); }

at::Tensor Encoder::class_scores(const at::Tensor& states) const {
  return at::linear(states.to(at::kFloat), parameters_.master_leaf(prefix_ + "classifier.weight"),
                    parameters_.master_leaf(prefix_ + "classifier.bias"));
}

LayerInput Encoder::layer_input(const EncoderInput& input, int64_t /*longest*/) const {
  return {.positions = positions_of(input),
          .cu_seqlens = input.cu_seqlens,
          .global_bias = input.key_bias,
          .local_bias = {}};
}

at::Tensor Encoder::encode(const EncoderInput& input, const EncodeOptions& options) const {
  return encode_at(input, /*positions=*/{}, options);
}

at::Tensor Encoder::encode_at(const EncoderInput& input, const at::Tensor& positions,
                              const EncodeOptions& options) const {
  const int64_t longest = longest_sequence(input);
  if (longest > shape_.max_positions) {
    throw DataError(
        cat("a sequence of ", longest, " tokens is longer than the ", shape_.max_positions, " positions of the model"));
  }
  const auto shared =
      std::make_shared<const LayerInput>(layer_input(input, longest));  // recomputed layers outlive this call
  at::Tensor x = embed(input, *shared, options.dropout.at(0));
  for (size_t layer = 0; layer < static_cast<size_t>(shape_.layers); ++layer) {
    const bool is_last = layer + 1 == static_cast<size_t>(shape_.layers);
    const auto block = [this, layer, shared, wanted = is_last ? positions : at::Tensor(),
                        dropout = options.dropout.at(layer + 1)](const at::Tensor& states) {
      return run_layer(layer, states, *shared, wanted, dropout);
    };
    x = options.recompute == Recompute::kPerLayer ? nn::recomputed(x, block) : block(x);
  }
  return finish(x);
}

at::Tensor Encoder::masked_lm_loss(const at::Tensor& states, const at::Tensor& targets) const {
  return nn::masked_lm_loss_sum(transform(states), parameters_.leaf(word_embeddings_name(shape_.arch)),
                                leaf(decoder_bias_name(shape_.arch)), targets);
}

nn::SampledLoss Encoder::masked_lm_loss_and_samples(const at::Tensor& states, const at::Tensor& targets) const {
  return nn::masked_lm_loss_and_samples(transform(states), parameters_.leaf(word_embeddings_name(shape_.arch)),
                                        leaf(decoder_bias_name(shape_.arch)), targets);
}

at::Tensor Encoder::masked_lm_logits(const at::Tensor& states) const {
  return nn::masked_lm_logits(transform(states), parameters_.leaf(word_embeddings_name(shape_.arch)),
                              leaf(decoder_bias_name(shape_.arch)));
}

std::unique_ptr<Encoder> make_encoder(const EncoderShape& shape, const Head& head, const nn::Parameters& parameters,
                                      const std::string& prefix) {
  if (shape.arch == config::Arch::kBert) {
    return std::make_unique<Bert>(shape, parameters, prefix);
  }
  return std::make_unique<ModernBert>(shape, head.pooling, parameters, prefix);
}

at::Tensor first_positions(const EncoderInput& input) {
  if (input.cu_seqlens.empty()) {
    return at::arange(input.ids.size(0), input.ids.options().dtype(at::kLong)) * input.ids.size(1);
  }
  const std::vector<int64_t> starts(input.cu_seqlens.begin(), input.cu_seqlens.end() - 1);
  return nn::to_device(at::tensor(starts, at::kLong), input.ids.device());
}

at::Tensor mean_of_tokens(const at::Tensor& states, const EncoderInput& input) {
  if (!input.cu_seqlens.empty()) {
    std::vector<at::Tensor> means;
    for (size_t i = 0; i + 1 < input.cu_seqlens.size(); ++i) {
      const int64_t start = input.cu_seqlens[i];
      means.push_back(at::mean(states.select(0, 0).narrow(0, start, input.cu_seqlens[i + 1] - start), 0));
    }
    return at::stack(means);
  }
  if (!input.key_bias.defined()) {
    return at::mean(states, 1);
  }
  const at::Tensor is_token = input.key_bias.eq(0).view({states.size(0), states.size(1), 1}).to(at::kFloat);
  return ((states * is_token).sum(1) / is_token.sum(1)).to(states.scalar_type());
}

}  // namespace bertcram::model
