// bertcram predict: text lines on stdin → labels of a fine-tuned model on stdout, one line each.

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "bertcram/config/predict_config.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "line_chunks.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

std::string to_json(std::string_view text, const train::Prediction& prediction,
                    const std::vector<std::string>& labels) {
  nlohmann::ordered_json json = {{"text", std::string(text)}};
  if (labels.empty()) {
    json["label"] = nullptr;
    json["score"] = prediction.score;
    return util::json_text(json) + "\n";
  }
  json["label"] = prediction.label;
  for (size_t i = 0; i < labels.size(); ++i) {
    json["probabilities"][labels[i]] = prediction.probabilities[i];
  }
  return util::json_text(json) + "\n";
}

std::string to_text(const train::Prediction& prediction, const std::vector<std::string>& labels) {
  if (labels.empty()) {
    return util::format_fixed(prediction.score, 4) + "\n";
  }
  const auto best = std::ranges::max_element(prediction.probabilities);
  return cat(prediction.label, "\t", util::format_fixed(*best, 4), "\n");
}

void answer(train::Classifier& classifier, std::span<const std::string_view> lines, bool as_json) {
  const std::vector<train::Prediction> predictions = classifier.predict(lines);
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    out +=
        as_json ? to_json(lines[i], predictions[i], classifier.labels()) : to_text(predictions[i], classifier.labels());
  }
  write_stdout(out);
}

void run(config::PredictConfig& config, bool as_json, const Session& session) {
  require_flags({{"--model", !config.model.empty()}});
  const auto classifier = training().open_classifier(config, session.stop);
  const auto is_refused = [&](std::string_view line) { return !classifier->refusal_of(line).empty(); };
  for_each_lines(session.stop, "predict", kChunkBytes, [&](int64_t first, std::span<const std::string_view> lines) {
    const auto refused = std::ranges::find_if(lines, is_refused);
    const auto taken = lines.first(static_cast<size_t>(refused - lines.begin()));
    answer(*classifier, taken, as_json);
    if (refused != lines.end()) {
      throw DataError(
          cat("line ", first + std::ssize(taken), " of standard input: ", classifier->refusal_of(*refused)));
    }
  });
  warn_of_cut_texts("predict", classifier->truncated());
}

}  // namespace

Run setup_predict(CLI::App& app) { return setup_configured(app, "print an object per line", run); }

}  // namespace bertcram::cli
