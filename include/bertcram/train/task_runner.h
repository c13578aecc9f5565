#pragma once
// A task's examples on one model: as token ids, and what the classifier says of them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/glue/reader.h"
#include "bertcram/model/encoder.h"
#include "bertcram/train/text_batch.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// A split of a task, encoded.
struct EncodedSplit {
  std::string reported_name;  ///< key in results.json, e.g. "mnli-mm"
  glue::Dataset dataset;      ///< its labels and lines
  std::vector<EncodedText> texts;
  std::vector<int64_t> lengths;  ///< tokens per text
  int64_t truncated = 0;         ///< texts that were cut
  int64_t max_tokens = 0;        ///< to so many tokens

  int64_t size() const { return static_cast<int64_t>(texts.size()); }
};

EncodedSplit encode_split(glue::Dataset dataset, const std::string& reported_name, const text::Tokenizer& tokenizer,
                          int64_t max_tokens);

/// Logs what whoever reads the scores has to know: rows left out, texts that are not UTF-8, texts that were cut.
/// @param room  the command
void log_notes(const char* room, const EncodedSplit& split);

/// The head that a task needs.
model::Head task_head(const glue::TaskSpec& task);

/// Tokens that texts of the task are cut to: `wanted`, or fewer where the model has fewer positions.
/// REQUIRES: wanted >= model::kFewestTaskTokens, unless the model has fewer positions.
/// @throws DataError if the model has too few positions, or the task has pairs and the model no second token type
int64_t text_limit(const model::EncoderShape& shape, const glue::TaskSpec& task, int64_t wanted);

/// @throws DataError if the folder holds a model without a classifier
void require_classifier(const checkpoint::ModelDirectory& source);

/// Tokens that the classifier's texts were cut to in fine-tuning; all that the model takes where that is not known, as of a folder
/// that others made.
int64_t trained_tokens(const model::Head& head, const model::EncoderShape& shape);

/// Texts in a pass of the classifier, as long as they find memory and have no more than 512 tokens; of longer ones fewer.
constexpr int64_t kTextsPerPass = 64;

/// Outputs of the classifier for every text, in their order: size() rows of task.classes() numbers (or one).
/// @param texts_per_pass  halved whenever memory runs out: left at what found some, for who asks again
/// @return nullopt when asked to stop on the way
std::optional<std::vector<float>> classifier_outputs(const model::Encoder& encoder, const nn::Parameters& parameters,
                                                     const EncodedSplit& split, int64_t& texts_per_pass,
                                                     const util::StopFlag& stop);

/// Whether no output is infinite or not a number, as they are of damaged or diverged weights.
bool are_finite(const std::vector<float>& outputs);

}  // namespace bertcram::train
