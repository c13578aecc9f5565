#pragma once
// Which parameters a model has, under which names.

#include <string>
#include <vector>

#include "bertcram/model/shape.h"
#include "bertcram/nn/parameter_spec.h"

namespace bertcram::model {

/// All parameters under their Hugging Face names (BertForMaskedLM, ModernBertForMaskedLM, …).
std::vector<nn::ParameterSpec> parameter_specs(const EncoderShape& shape, const Head& head);

/// Those of replaced-token detection (Clark et al. 2020): of the discriminator, a classifier of tokens, and under
/// kGeneratorPrefix those of the generator, a masked LM of the same width that has the discriminator's embeddings.
std::vector<nn::ParameterSpec> replaced_token_specs(const EncoderShape& discriminator, const EncoderShape& generator);
inline constexpr const char* kGeneratorPrefix = "generator.";
/// Head of the discriminator: "original" or "replaced".
Head replaced_token_head();

/// The table of word embeddings, which is also the decoder of the masked LM.
std::string word_embeddings_name(config::Arch arch);
/// The bias of the decoder.
std::string decoder_bias_name(config::Arch arch);
/// What Hugging Face puts in front of the encoder's names in models with a head: "bert." or "model.".
std::string encoder_prefix(config::Arch arch);

/// Whether a stored tensor belongs to the embeddings, which encoders can share.
bool is_embedding(const std::string& name, config::Arch arch);

/// Whether a tensor is a task's own, whatever the model was trained for before: drawn anew for each fine-tuning. All else that a folder
/// has is kept, as Hugging Face does: BERT's pooler (after next-sentence prediction or another task), ModernBERT's dense layer.
bool is_tasks_own(const std::string& name);

}  // namespace bertcram::model
