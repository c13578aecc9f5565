#pragma once
// Shape of a BERT encoder, from a bertcram configuration or a Hugging Face config.json.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bertcram/config/train_config.h"
#include "bertcram/nn/parameters.h"

namespace bertcram::model {

struct BertShape {
  int64_t vocab = 0;
  int64_t hidden = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t ffn = 3072;
  int64_t max_positions = 512;
  int64_t token_types = 2;
  double layer_norm_eps = 1e-12;
  double init_std = 0.02;
  int32_t pad_id = 0;
  config::WeightInit init = config::WeightInit::kBert;

  bool operator==(const BertShape&) const = default;
};

BertShape make_shape(const config::ModelConfig& config, int64_t vocab, int32_t pad_id);

/// The head on top of the encoder decides which parameters exist beside the encoder's.
enum class HeadKind { kNone, kMaskedLm, kClassifier };

struct Head {
  HeadKind kind = HeadKind::kMaskedLm;
  int64_t outputs = 0;                   ///< classifier: classes, or 1 for regression
  std::vector<std::string> label_words;  ///< classifier: names of the classes, for config.json
  int64_t max_tokens = 0;                ///< classifier: what texts were cut to in fine-tuning; 0 = unknown
};

/// All parameters under their Hugging Face names (BertForMaskedLM, BertForSequenceClassification).
std::vector<nn::ParameterSpec> parameter_specs(const BertShape& shape, const Head& head);

/// config.json. @throws DataError naming a feature that bertcram does not compute
nlohmann::json to_hub_config(const BertShape& shape, const Head& head);
BertShape shape_from_hub_config(const nlohmann::json& config, const std::string& where);
/// @throws DataError if the head's labels are damaged
Head head_from_hub_config(const nlohmann::json& config);

/// Floating-point operations per trained token, forward and backward, without recomputation
/// (6·layers·(4h² + 2h·ffn) + 6·p·(V·h + h²) + 12·layers·seq·h; reference: Kaplan et al. 2020, §2.1).
double flops_per_token(const BertShape& shape, int64_t seq_len, double decoded_share);

}  // namespace bertcram::model
