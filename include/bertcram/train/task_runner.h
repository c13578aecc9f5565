#pragma once
// One task on one model: its examples as token ids, training on them, and the scores.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/glue/metrics.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/glue/reader.h"
#include "bertcram/model/encoder.h"
#include "bertcram/optim/optimizer.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/text_batch.h"
#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// A split of a task, encoded.
struct EncodedSplit {
  std::string reported_name;  ///< key in results.json, e.g. "mnli-mm"
  std::vector<EncodedText> texts;
  std::vector<int64_t> lengths;  ///< tokens per text
  std::vector<int32_t> labels;   ///< classification
  std::vector<float> targets;    ///< regression
  int64_t truncated = 0;         ///< texts that were cut

  int64_t size() const { return static_cast<int64_t>(texts.size()); }
};

EncodedSplit encode_split(const glue::Dataset& dataset, const std::string& reported_name,
                          const text::Tokenizer& tokenizer, int64_t max_tokens);

/// The head that a task needs.
model::Head task_head(const glue::TaskSpec& task);

/// Tokens that texts of the task are cut to: `wanted`, or fewer where the model has fewer positions.
/// @throws ConfigError, DataError if that is too few; DataError if the task has pairs and the model no second token type
int64_t text_limit(const model::EncoderShape& shape, const glue::TaskSpec& task, int64_t wanted);

/// Outputs of the classifier for every text, in their order: size() rows of task.classes() numbers (or one), in passes
/// of batch_examples. @return nullopt when asked to stop on the way
std::optional<std::vector<float>> classifier_outputs(const model::Encoder& encoder, const nn::Parameters& parameters,
                                                     const EncodedSplit& split, int64_t batch_examples,
                                                     const util::StopFlag& stop);

/// Whether no output is infinite or not a number, as they are of damaged or diverged weights.
bool are_finite(const std::vector<float>& outputs);

/// All metrics of the task, 0..100.
glue::MetricValues score_outputs(const glue::TaskSpec& task, const EncodedSplit& split,
                                 const std::vector<float>& outputs);

struct FinetuneOptions {
  glue::FinetuneRecipe recipe;
  int64_t micro_examples = 0;  ///< 0 = the whole batch in one pass
  int64_t seed = 0;
};

/// Trains the classifier on the split by the recipe; the last step's weights stay in `parameters`.
/// Deterministic for a seed and thread count on the CPU. @return false when asked to stop on the way
/// @throws DivergedError
bool finetune(const model::Encoder& encoder, nn::Parameters& parameters, const glue::TaskSpec& task,
              const EncodedSplit& train, const FinetuneOptions& options, const util::StopFlag& stop,
              util::Progress& progress);

}  // namespace bertcram::train
