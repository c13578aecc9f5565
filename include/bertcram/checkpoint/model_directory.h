#pragma once
// A model folder as Hugging Face lays it out: config.json, model.safetensors and the tokenizer's files.

#include <filesystem>
#include <memory>

#include "bertcram/model/shape.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/text/tokenizer.h"

namespace bertcram::checkpoint {

/// Writes the folder; every file is replaced in one step, config.json last.
void write_model_directory(const std::filesystem::path& directory, const model::BertShape& shape,
                           const model::Head& head, nn::Parameters& parameters, const text::Tokenizer& tokenizer);

/// Whether the folder is what write_model_directory makes of these: it opens, with this tokenizer and, bit for bit,
/// these masters.
bool is_model_of(const std::filesystem::path& directory, nn::Parameters& parameters, const text::Tokenizer& tokenizer);

/// A model folder opened for reading; weights are loaded on demand.
struct ModelDirectory {
  std::filesystem::path path;
  model::BertShape shape;
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
  kEncoderOnly,  ///< the encoder; a missing head keeps its initial weights
};

/// Fills the parameters from model.safetensors (with or without the `bert.` prefix) and refreshes the compute copy.
/// @throws DataError listing what is missing, or naming the tensor whose shape differs
void load_weights(const std::filesystem::path& directory, nn::Parameters& parameters, Strictness strictness);

}  // namespace bertcram::checkpoint
