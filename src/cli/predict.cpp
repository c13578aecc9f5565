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

void run(config::PredictConfig& config, bool as_json, const Session& session) {
  require_flags({{"--model", !config.model.empty()}});
  const auto classifier = training().open_classifier(config, session.stop);
  for_each_texts(session.stop, "predict", kChunkBytes, [&](std::span<const std::string_view> texts) {
    const std::vector<train::Prediction> predictions = classifier->predict(texts);
    std::string out;
    for (size_t i = 0; i < texts.size(); ++i) {
      out += as_json ? to_json(texts[i], predictions[i], classifier->labels())
                     : to_text(predictions[i], classifier->labels());
    }
    return out;
  });
  warn_of_cut_texts("predict", classifier->truncated());
}

}  // namespace

Run setup_predict(CLI::App& app) { return setup_configured(app, "print an object per line", run); }

}  // namespace bertcram::cli
