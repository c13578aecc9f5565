#pragma once
// A model folder as Hugging Face lays it out: config.json, model.safetensors and the tokenizer's files.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bertcram/model/shape.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/text/tokenizer.h"

namespace bertcram::checkpoint {

/// A model as it is written: fp32 tensors under the names of Hugging Face.
struct StoredModel {
  model::EncoderShape shape;
  model::Head head;
  std::vector<nn::NamedTensor> tensors;
};

/// The tensors of one model among the parameters.
/// @param prefix  under which all but the embeddings stand, see model::make_encoder
std::vector<nn::NamedTensor> model_tensors(const model::EncoderShape& shape, const model::Head& head,
                                           nn::Parameters& parameters, const std::string& prefix = "");

/// Writes the folder; every file is replaced in one step, config.json last. @throws ResourceError
/// REQUIRES: nobody else writes to the folder meanwhile (hold its DirectoryLock).
void write_model_directory(const std::filesystem::path& directory, const StoredModel& model,
                           const text::Tokenizer& tokenizer);

/// Whether the folder is what write_model_directory makes of these: it opens, with this tokenizer and, bit for bit,
/// these tensors, and nothing else is left there.
bool is_model_of(const std::filesystem::path& directory, const StoredModel& model, const text::Tokenizer& tokenizer);

/// A model folder opened for reading; weights are loaded on demand.
struct ModelDirectory {
  std::filesystem::path path;
  model::EncoderShape shape;
  model::Head head;
  std::unique_ptr<text::Tokenizer> tokenizer;
};

/// @throws DataError if something is missing or damaged, or the tokenizer does not fit the vocabulary
ModelDirectory open_model_directory(const std::filesystem::path& directory);

/// @throws DataError that says what the model is instead, if it has no masked-LM head
void require_masked_lm(const ModelDirectory& model);

/// Which parameters a model folder must provide.
enum class Strictness {
  kComplete,     ///< all of them
  kEncoderOnly,  ///< the encoder; a pooler or dense layer where the folder has one; a classifier keeps its initial weights
};

/// Fills the parameters from the folder's weights and refreshes the compute copy. Names may lack the encoder's prefix
/// (BertModel, ModernBertModel) or be those of TensorFlow (gamma, beta). What other heads left in the file is passed over.
/// @throws DataError listing what is missing or what has no place in this model, or naming the tensor whose shape differs
void load_weights(const std::filesystem::path& directory, nn::Parameters& parameters, Strictness strictness);

}  // namespace bertcram::checkpoint
