#include "task_model.h"

#include <algorithm>
#include <numeric>

#include "bertcram/train/batches.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

checkpoint::ModelDirectory open_classifier_of(const fs::path& folder, const glue::TaskSpec& task) {
  auto source = checkpoint::open_model_directory(folder);
  require_classifier(source);
  if (source.head.outputs != task.classes()) {
    throw DataError(cat("--model ", folder.string(), ": its classifier has ", source.head.outputs, " outputs, ",
                        task.name, " needs ", task.classes()));
  }
  return source;
}

/// The model's output for each class of the task, told by the label words; a model without words counts by position.
/// @throws DataError if the two do not have the same labels
std::vector<int64_t> output_of_class(const checkpoint::ModelDirectory& source, const glue::TaskSpec& task) {
  std::vector<int64_t> columns(task.labels.size());
  std::iota(columns.begin(), columns.end(), 0);
  const auto& words = source.head.label_words;
  const bool is_unnamed =
      std::ranges::all_of(words, [](const std::string& word) { return word.starts_with("LABEL_"); });
  for (size_t label = 0; label < columns.size() && !is_unnamed; ++label) {
    const auto found = std::ranges::find(words, task.labels[label]);
    if (found == words.end()) {
      throw DataError(cat("--model ", source.path.string(), ": its classifier knows ", util::join(words, ", "),
                          ", not the label '", task.labels[label], "' of ", task.name));
    }
    columns[label] = found - words.begin();
  }
  return columns;
}

/// Rows of outputs with their columns in the task's order.
std::vector<float> reordered(const std::vector<float>& outputs, const std::vector<int64_t>& columns) {
  std::vector<float> ordered;
  ordered.reserve(outputs.size());
  for (size_t row = 0; row < outputs.size(); row += columns.size()) {
    for (const int64_t column : columns) {
      ordered.push_back(outputs[row + static_cast<size_t>(column)]);
    }
  }
  return ordered;
}

}  // namespace

TaskModel::TaskModel(const fs::path& folder, const glue::TaskSpec& task, const config::RuntimeConfig& runtime)
    : source_(open_classifier_of(folder, task)),
      columns_(output_of_class(source_, task)),
      runtime_(set_up_runtime(runtime)),
      model_(source_, source_.head, runtime_),
      max_tokens_(text_limit(source_.shape, task, trained_tokens(source_.head, source_.shape))) {}

EncodedSplit TaskModel::encode(glue::Dataset dataset, const std::string& reported_name) const {
  return encode_split(std::move(dataset), reported_name, *source_.tokenizer, max_tokens_);
}

std::optional<std::vector<float>> TaskModel::outputs(const EncodedSplit& split, const util::StopFlag& stop) const {
  int64_t texts_per_pass = kTextsPerPass;
  const auto outputs = classifier_outputs(model_.encoder(), model_.parameters(), split, texts_per_pass, stop);
  if (!outputs) {
    return std::nullopt;
  }
  require_numbers(*outputs, "outputs", source_.path.string());
  return columns_.empty() ? *outputs : reordered(*outputs, columns_);
}

}  // namespace bertcram::train
