#include "bertcram/model/shape.h"

#include <algorithm>

namespace bertcram::model {

using config::Arch;

EncoderShape make_shape(const config::ModelConfig& config, int64_t vocab, int32_t pad_id) {
  return {.arch = config.arch,
          .vocab = vocab,
          .hidden = config.hidden,
          .layers = config.layers,
          .heads = config.heads,
          .ffn = config.ffn,
          .max_positions = config.max_positions,
          .token_types = config.arch == Arch::kModern ? 1 : 2,
          .layer_norm_eps = config.layer_norm_eps,
          .init_std = config.init_std,
          .pad_id = pad_id,
          .init = config.init,
          .global_every = config.global_every,
          .local_attention = config.local_attention,
          .global_rope_theta = config.rope_theta,
          .local_rope_theta = config.rope_theta};
}

EncoderShape generator_shape(const config::PretrainConfig& config, EncoderShape discriminator) {
  constexpr int64_t kDefaultDivisor = 3;
  const int64_t layers = config.rtd.generator_layers;
  discriminator.layers = layers > 0 ? layers : std::max<int64_t>(1, config.model.layers / kDefaultDivisor);
  return discriminator;
}

double flops_per_token(const EncoderShape& shape, int64_t seq_len, const WantedShares& wanted) {
  const auto hidden = static_cast<double>(shape.hidden);
  const auto layers = static_cast<double>(shape.layers);
  const double ffn_matrices = shape.arch == Arch::kModern ? 3 : 2;
  const double attention_inputs = 3 * hidden * hidden;
  const double behind_attention = hidden * hidden + ffn_matrices * hidden * static_cast<double>(shape.ffn);
  const double head = wanted.decoded * (static_cast<double>(shape.vocab) * hidden + hidden * hidden);
  const bool has_local = shape.arch == Arch::kModern && shape.global_every > 1;
  const int64_t global_layers = has_local ? (shape.layers + shape.global_every - 1) / shape.global_every : shape.layers;
  const auto seen = static_cast<double>(global_layers * seq_len +
                                        (shape.layers - global_layers) * std::min(seq_len, shape.local_attention + 1));
  return 6 * (layers * attention_inputs + (layers - 1 + wanted.states) * behind_attention + head) + 12 * seen * hidden;
}

}  // namespace bertcram::model
