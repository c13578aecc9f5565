#include "bertcram/train/task_runner.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "bertcram/glue/batching.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "micro_batch.h"

namespace bertcram::train {

EncodedSplit encode_split(glue::Dataset dataset, const std::string& reported_name, const text::Tokenizer& tokenizer,
                          int64_t max_tokens) {
  EncodedSplit split;
  split.reported_name = reported_name;
  split.max_tokens = max_tokens;
  split.texts.reserve(dataset.examples.size());
  for (const glue::Example& example : dataset.examples) {
    split.texts.push_back(encode_text(tokenizer, example.text_a, example.text_b, max_tokens, split.truncated));
    split.lengths.push_back(static_cast<int64_t>(split.texts.back().ids.size()));
  }
  split.dataset = std::move(dataset);
  return split;
}

void log_notes(const char* room, const EncodedSplit& split) {
  const std::string file = split.dataset.file.string();
  if (split.dataset.skipped_rows > 0) {
    util::log_warning(room, cat(file, ": ", util::format_count(split.dataset.skipped_rows), " broken rows left out, ",
                                util::format_count(split.size()), " used"));
  }
  if (split.dataset.damaged_texts > 0) {
    util::log_warning(room, cat(file, ": ", util::format_count(split.dataset.damaged_texts),
                                " texts are not UTF-8; what cannot be read of them counts as unknown characters"));
  }
  if (split.truncated > 0) {
    util::log_info(room, cat(file, ": ", util::format_count(split.truncated), " of ", util::format_count(split.size()),
                             " examples cut to ", split.max_tokens, " tokens"));
  }
}

model::Head task_head(const glue::TaskSpec& task) {
  const bool has_pairs = task.train && task.train->sources.front().text_b;
  return {.kind = model::HeadKind::kClassifier,
          .outputs = task.classes(),
          .label_words = task.labels,
          .texts = has_pairs ? 2 : 1};
}

int64_t text_limit(const model::EncoderShape& shape, const glue::TaskSpec& task, int64_t wanted) {
  if (shape.max_positions < model::kFewestTaskTokens) {
    throw DataError(cat("the model takes only ", shape.max_positions, " tokens; at least ", model::kFewestTaskTokens,
                        " are needed"));
  }
  BC_CHECK(wanted >= model::kFewestTaskTokens, wanted);
  if (task.train && task.train->sources.front().text_b && shape.arch == config::Arch::kBert && shape.token_types < 2) {
    throw DataError(cat(task.name,
                        ": its examples are pairs, and the model has one token type (type_vocab_size); use "
                        "a model with two"));
  }
  return std::min(wanted, shape.max_positions);
}

void require_classifier(const checkpoint::ModelDirectory& source) {
  if (source.head.kind != model::HeadKind::kClassifier) {
    throw DataError(
        cat("--model ", source.path.string(),
            ": is not a fine-tuned classifier; make one with 'bertcram finetune-glue' (OUTPUT/TASK is it)"));
  }
}

int64_t trained_tokens(const model::Head& head, const model::EncoderShape& shape) {
  return head.max_tokens > 0 ? head.max_tokens : shape.max_positions;
}

std::optional<std::vector<float>> classifier_outputs(const model::Encoder& encoder, const nn::Parameters& parameters,
                                                     const EncodedSplit& split, int64_t& texts_per_pass,
                                                     const util::StopFlag& stop) {
  constexpr int64_t kTokensPerText = 512;  // of longer ones a pass has fewer
  const c10::NoGradGuard no_grad;
  std::vector<float> outputs;
  const std::vector<glue::Batch> order = glue::evaluation_batches(split.lengths, split.size());
  const std::span<const int64_t> examples = order.front();  // longest first
  const Place place = {"classifier", cat("the scores of ", examples.size(), " texts")};
  for (size_t first = 0; first < examples.size();) {
    if (stop.requested()) {
      return std::nullopt;
    }
    const int64_t longest = std::max<int64_t>(1, split.lengths[static_cast<size_t>(examples[first])]);
    const int64_t most = std::clamp<int64_t>(kTextsPerPass * kTokensPerText / longest, 1, kTextsPerPass);
    int64_t texts = std::min(texts_per_pass, most);
    std::span<const int64_t> batch;
    const auto attempt = [&](int64_t count) {
      batch = examples.subspan(first, std::min(static_cast<size_t>(count), examples.size() - first));
      const auto input =
          padded_batch(split.texts, batch, encoder.shape().pad_id, parameters.compute_type(), parameters.device());
      return encoder.classify(input).to(at::kCPU).contiguous();
    };
    const at::Tensor rows = with_smaller(texts, parameters.device(), place, attempt);
    if (texts < most) {
      texts_per_pass = texts;
    }
    const auto width = static_cast<size_t>(rows.size(1));
    outputs.resize(static_cast<size_t>(split.size()) * width);
    for (size_t i = 0; i < batch.size(); ++i) {
      std::copy_n(rows.const_data_ptr<float>() + i * width, width,
                  outputs.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(batch[i]) * width));
    }
    first += batch.size();
  }
  return outputs;
}

bool are_finite(const std::vector<float>& outputs) {
  return std::ranges::all_of(outputs, [](float output) { return std::isfinite(output); });
}

}  // namespace bertcram::train
