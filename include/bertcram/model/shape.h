#pragma once
// Shape of an encoder and of the head on top of it.

#include <cstdint>
#include <string>
#include <vector>

#include "bertcram/config/pretrain_config.h"

namespace bertcram::model {

/// docs/models.md says what the two architectures compute, and after whom.
struct EncoderShape {
  config::Arch arch = config::Arch::kBert;
  int64_t vocab = 0;
  int64_t hidden = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t ffn = 3072;  ///< modern: of each half of the gated layer
  int64_t max_positions = 512;
  int64_t token_types = 2;  ///< 1 for modern, which has none
  double layer_norm_eps = 1e-12;
  double init_std = 0.02;
  int32_t pad_id = 0;
  config::WeightInit init = config::WeightInit::kBert;
  // modern only
  int64_t global_every = 1;       ///< layer i sees whole sequences if i is a multiple, else local_attention tokens
  int64_t local_attention = 128;  ///< tokens: half of them on each side
  double global_rope_theta = 10'000;
  double local_rope_theta = 10'000;

  bool operator==(const EncoderShape&) const = default;
};

EncoderShape make_shape(const config::ModelConfig& config, int64_t vocab, int32_t pad_id);

/// The generator of replaced-token detection: fewer layers of the discriminator's width, so that the embeddings can be shared
/// without a projection (He et al. 2021, DeBERTaV3).
EncoderShape generator_shape(const config::PretrainConfig& config, EncoderShape discriminator);

/// The head on top of the encoder decides which parameters exist beside the encoder's.
enum class HeadKind {
  kNone,
  kMaskedLm,
  kClassifier,       ///< of whole texts, or pairs
  kTokenClassifier,  ///< of every token
};

/// What of the token states a classifier reads.
enum class ClassifierPooling { kFirst, kMean };

/// Of texts that a classifier is trained on: what is left of a pair beside [CLS] and two [SEP] should still say something.
inline constexpr int64_t kFewestTaskTokens = 8;

struct Head {
  HeadKind kind = HeadKind::kMaskedLm;
  int64_t outputs = 0;                        ///< classifiers: classes, or 1 for regression
  std::vector<std::string> label_words = {};  ///< classifiers: names of the classes, for config.json
  int64_t max_tokens = 0;                     ///< classifier: what texts were cut to in fine-tuning; 0 = unknown
  int64_t texts = 0;                          ///< classifier: of an example in fine-tuning, 1 or 2; 0 = unknown
  ClassifierPooling pooling = ClassifierPooling::kFirst;  ///< classifier of `modern`; `bert` has the first only
  std::string refusal = {};  ///< of a folder's head: what bertcram does not compute in it; empty if it does
};

/// Shares of the tokens, in [0, 1], that a loss asks for.
struct WantedShares {
  double states = 1;   ///< whose states behind the last layer it reads (Encoder::encode_at)
  double decoded = 0;  ///< for which it scores the whole vocabulary
};

/// Floating-point operations per trained token, forward and backward, without recomputation
/// (6·(layers − 1 + s)·(h² + m·h·ffn) + 6·layers·3h² + 6·p·(V·h + h²) + 12·layers·seq·h; m = 2, or 3 where the feed-forward
/// layer is gated; s and p: the wanted states and the decoded ones; for s = 1 that of Kaplan et al. 2020, §2.1). Local attention
/// counts as much as it looks at.
double flops_per_token(const EncoderShape& shape, int64_t seq_len, const WantedShares& wanted);

}  // namespace bertcram::model
