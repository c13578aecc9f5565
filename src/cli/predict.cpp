// bertcram predict: text lines on stdin → labels of a fine-tuned model on stdout, one line each.

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "bertcram/config/predict_config.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "line_chunks.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr size_t kMostTexts = 8192;

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
  LineChunks chunks(session.stop, "predict", kChunkBytes);
  for (std::string chunk = chunks.next(); !chunk.empty(); chunk = chunks.next()) {
    const std::vector<std::string_view> lines = lines_of(chunk);
    for (std::span<const std::string_view> rest = lines; !rest.empty();) {
      const auto texts = rest.first(std::min(rest.size(), kMostTexts));
      rest = rest.subspan(texts.size());
      const std::vector<train::Prediction> predictions = classifier->predict(texts);
      std::string out;
      for (size_t i = 0; i < texts.size(); ++i) {
        out += as_json ? to_json(texts[i], predictions[i], classifier->labels())
                       : to_text(predictions[i], classifier->labels());
      }
      write_stdout(out);
    }
  }
  if (const int64_t cut = classifier->truncated(); cut > 0) {
    util::log_warning("predict", cat(util::format_count(cut), cut == 1 ? " text was" : " texts were",
                                     " longer than the model or --max-tokens allow and cut"));
  }
}

}  // namespace

Run setup_predict(CLI::App& app) { return setup_configured(app, "print an object per line", run); }

}  // namespace bertcram::cli
