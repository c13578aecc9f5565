#include "bertcram/train/classifier.h"

#include <algorithm>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/glue/class_outputs.h"
#include "bertcram/train/batches.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/task_runner.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

bool takes_pairs(const checkpoint::ModelDirectory& source) {
  return source.head.texts != 1 && (source.shape.arch != config::Arch::kBert || source.shape.token_types > 1);
}

/// A blank line is one text, whatever it consists of.
bool is_pair(std::string_view line) { return line.find('\t') != std::string_view::npos && !util::trim(line).empty(); }

class ModelClassifier : public Classifier {
 public:
  ModelClassifier(const config::PredictConfig& config, checkpoint::ModelDirectory source, const util::StopFlag& stop)
      : name_(config.model),
        stop_(stop),
        max_tokens_(tokens_of_text(config.max_tokens, trained_tokens(source.head, source.shape),
                                   source.shape.max_positions, takes_pairs(source))),
        runtime_(set_up_runtime(config.runtime)),
        model_(source, source.head, runtime_),
        outputs_(source.head.outputs),
        takes_single_texts_(source.head.texts != 2),
        takes_pairs_(takes_pairs(source)),
        tokenizer_(std::move(source.tokenizer)) {
    if (outputs_ > 1) {
      labels_ = source.head.label_words;
      for (int64_t i = std::ssize(labels_); i < outputs_; ++i) {
        labels_.push_back(cat("LABEL_", i));
      }
    }
  }

  const std::vector<std::string>& labels() const override { return labels_; }
  int64_t truncated() const override { return truncated_; }

  std::string refusal_of(std::string_view line) const override {
    const bool is_two = is_pair(line);
    if (util::trim(line).empty() || (is_two ? takes_pairs_ : takes_single_texts_)) {
      return "";
    }
    return cat("--model ", name_, is_two ? " takes single texts" : " takes two texts with a tab between", ", and '",
               util::excerpt(line), is_two ? "' is two" : "' is one");
  }

  std::vector<Prediction> predict(std::span<const std::string_view> lines) override {
    if (lines.empty()) {
      return {};
    }
    EncodedSplit split;
    for (const std::string_view line : lines) {
      split.texts.push_back(encode_line(line));
      split.lengths.push_back(std::ssize(split.texts.back().ids));
    }
    const auto outputs = classifier_outputs(model_.encoder(), model_.parameters(), split, texts_per_pass_, stop_);
    if (!outputs) {
      throw util::StoppedError(stop_, "predict: stopped");
    }
    require_numbers(*outputs, "outputs", name_);
    return predictions_of(*outputs);
  }

 private:
  EncodedText encode_line(std::string_view line) {
    BC_CHECK(refusal_of(line).empty());
    if (!is_pair(line)) {
      return encode_text(*tokenizer_, line, std::nullopt, max_tokens_, truncated_);
    }
    const size_t tab = line.find('\t');
    return encode_text(*tokenizer_, line.substr(0, tab), line.substr(tab + 1), max_tokens_, truncated_);
  }

  std::vector<Prediction> predictions_of(const std::vector<float>& outputs) const {
    std::vector<Prediction> predictions;
    if (labels_.empty()) {
      for (const float score : outputs) {
        predictions.push_back({.label = "", .probabilities = {}, .score = static_cast<double>(score)});
      }
      return predictions;
    }
    const auto classes = static_cast<size_t>(outputs_);
    for (size_t first = 0; first < outputs.size(); first += classes) {
      const auto row = std::span(outputs).subspan(first, classes);
      predictions.push_back({.label = labels_[static_cast<size_t>(glue::best_class(row))],
                             .probabilities = glue::probabilities_of(row, outputs_)});
    }
    return predictions;
  }

  std::string name_;  ///< of the model's folder, for errors
  const util::StopFlag& stop_;
  int64_t max_tokens_;
  Runtime runtime_;
  LoadedModel model_;
  int64_t outputs_;
  bool takes_single_texts_;
  bool takes_pairs_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::vector<std::string> labels_;
  int64_t truncated_ = 0;
  int64_t texts_per_pass_ = kTextsPerPass;
};

}  // namespace

std::unique_ptr<Classifier> open_classifier(const config::PredictConfig& config, const util::StopFlag& stop) {
  auto source = checkpoint::open_model_directory(config.model);
  require_classifier(source);
  return std::make_unique<ModelClassifier>(config, std::move(source), stop);
}

}  // namespace bertcram::train
