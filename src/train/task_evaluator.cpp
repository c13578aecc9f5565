#include "bertcram/train/task_evaluator.h"

#include <algorithm>
#include <numeric>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/glue/protocol.h"
#include "bertcram/glue/unit.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/task_runner.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

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

std::map<std::string, glue::MetricValues> evaluate_task(const fs::path& model_directory, const glue::TaskSpec& task,
                                                        const fs::path& data_directory,
                                                        const config::RuntimeConfig& runtime_config,
                                                        const util::StopFlag& stop) {
  const auto source = checkpoint::open_model_directory(model_directory);
  if (source.head.kind != model::HeadKind::kClassifier || source.head.outputs != task.classes()) {
    throw DataError(
        cat("--model ", model_directory.string(), ": ",
            source.head.kind == model::HeadKind::kClassifier
                ? cat("its classifier has ", source.head.outputs, " outputs, ", task.name, " needs ", task.classes())
                : "is not a fine-tuned classifier; make one with 'bertcram finetune-glue'"));
  }
  const std::vector<int64_t> columns = output_of_class(source, task);
  const Runtime runtime = resolve_runtime(runtime_config);
  const LoadedModel model(source, source.head, runtime);
  const int64_t trained_with =
      source.head.max_tokens > 0 ? source.head.max_tokens : glue::recipe_for(glue::sane_protocol(), task).seq_len;
  const int64_t max_tokens = text_limit(source.shape, task, trained_with);
  std::map<std::string, glue::MetricValues> scores;
  for (const glue::SplitSpec& spec : glue::present_dev_splits(task, data_directory)) {
    const auto split =
        encode_split(glue::read_split(task, spec, data_directory), spec.reported_name, *source.tokenizer, max_tokens);
    const auto outputs = classifier_outputs(model.encoder(), model.parameters(), split, kEvaluationExamples, stop);
    if (!outputs) {
      throw util::StoppedError(stop, "eval: stopped");
    }
    if (!are_finite(*outputs)) {
      throw DataError(
          cat("--model ", model_directory.string(), ": its weights give outputs that are not numbers; is it damaged?"));
    }
    scores[split.reported_name] =
        glue::score_split(task, split.dataset, columns.empty() ? *outputs : reordered(*outputs, columns)).metrics;
  }
  return scores;
}

}  // namespace bertcram::train
