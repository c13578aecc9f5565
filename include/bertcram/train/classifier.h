#pragma once
// `bertcram predict`: what a fine-tuned model says of new texts.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/config/predict_config.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// Of one text.
struct Prediction {
  std::string label;                  ///< the most probable one; empty of a model that gives a score
  std::vector<double> probabilities;  ///< in the order of labels()
  double score = 0;                   ///< of a model that gives one
};

/// A fine-tuned classifier, or a model with a single output: a score.
class Classifier {
 public:
  virtual ~Classifier() = default;

  /// Label words; empty of a model that gives a score.
  virtual const std::vector<std::string>& labels() const = 0;
  /// Why the model does not take a line, which is a text or two with a tab between them; empty if it does. A blank line is
  /// a text without words, which every model takes.
  virtual std::string refusal_of(std::string_view line) const = 0;
  /// REQUIRES: none of the lines is refused.
  /// @throws util::StoppedError; DataError if the outputs are not numbers, as those of damaged weights
  virtual std::vector<Prediction> predict(std::span<const std::string_view> lines) = 0;
  /// Texts so far that were cut.
  virtual int64_t truncated() const = 0;
};

/// @throws DataError if the folder holds no classifier, or is damaged; ConfigError
std::unique_ptr<Classifier> open_classifier(const config::PredictConfig& config, const util::StopFlag& stop);

}  // namespace bertcram::train
