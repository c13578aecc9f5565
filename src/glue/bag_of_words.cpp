#include "bertcram/glue/bag_of_words.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <unordered_map>

#include "bertcram/glue/class_outputs.h"
#include "bertcram/util/error.h"
#include "bertcram/util/permutation.h"
#include "bertcram/util/random.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

using Words = std::set<std::string>;

Words words_of(const std::string& text) {
  Words words;
  std::string word;
  const auto finish = [&] {
    if (!word.empty()) {
      words.insert(std::move(word));
      word.clear();
    }
  };
  for (const char c : util::to_lower_ascii(text)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || (static_cast<unsigned char>(c) & 0x80U) != 0) {
      word += c;
    } else {
      finish();
    }
  }
  finish();
  return words;
}

/// Features of an example by name, and their values.
std::vector<std::pair<std::string, double>> features_of(const Example& example) {
  std::vector<std::string> names;
  const Words a = words_of(example.text_a);
  const Words b = words_of(example.text_b.value_or(""));
  for (const std::string& word : a) {
    names.push_back("1 " + word);
  }
  size_t common = 0;
  for (const std::string& word : b) {
    names.push_back("2 " + word);
    common += a.contains(word) ? 1U : 0U;
    names.push_back((a.contains(word) ? "both " : "one ") + word);
  }
  for (const std::string& word : a) {
    if (!b.empty() && !b.contains(word)) {
      names.push_back("one " + word);
    }
  }
  std::ranges::sort(names);
  std::vector<std::pair<std::string, double>> features;
  features.reserve(names.size() + 2);
  for (const std::string& name : names) {
    features.emplace_back(name, 1.0 / std::sqrt(static_cast<double>(names.size())));
  }
  if (!b.empty()) {
    features.emplace_back("share", static_cast<double>(common) / static_cast<double>(a.size() + b.size() - common));
  }
  features.emplace_back("constant", 1.0);
  return features;
}

/// One feature of an example.
struct Feature {
  size_t id;
  float value;
};

/// Names of features to numbers. Those that training did not have are left out.
class FeatureIds {
 public:
  std::vector<Feature> add(const Example& example) {
    for (const auto& [name, value] : features_of(example)) {
      ids_.try_emplace(name, ids_.size());
    }
    return of(example);
  }

  std::vector<Feature> of(const Example& example) const {
    std::vector<Feature> row;
    for (const auto& [name, value] : features_of(example)) {
      if (const auto found = ids_.find(name); found != ids_.end()) {
        row.push_back({.id = found->second, .value = static_cast<float>(value)});
      }
    }
    return row;
  }

  size_t size() const { return ids_.size(); }

 private:
  std::unordered_map<std::string, size_t> ids_;
};

/// A linear map from features to outputs, trained by AdaGrad.
class LinearModel {
 public:
  LinearModel(size_t features, size_t outputs)
      : outputs_(outputs), weights_(features * outputs), squares_(features * outputs) {}

  std::vector<double> scores(std::span<const Feature> row) const {
    std::vector<double> sums(outputs_);
    for (const Feature& feature : row) {
      for (size_t k = 0; k < outputs_; ++k) {
        sums[k] += static_cast<double>(feature.value) * weights_[feature.id * outputs_ + k];
      }
    }
    return sums;
  }

  /// @param slopes  derivative of the loss by each output
  void step(std::span<const Feature> row, std::span<const double> slopes) {
    for (const Feature& feature : row) {
      for (size_t k = 0; k < outputs_; ++k) {
        const size_t place = feature.id * outputs_ + k;
        const double gradient = static_cast<double>(feature.value) * slopes[k] + kPenalty * weights_[place];
        squares_[place] += gradient * gradient;
        weights_[place] -= kRate * gradient / (std::sqrt(squares_[place]) + kTiny);
      }
    }
  }

 private:
  static constexpr double kRate = 0.1;
  static constexpr double kPenalty = 1e-4;
  static constexpr double kTiny = 1e-8;
  size_t outputs_;
  std::vector<double> weights_;
  std::vector<double> squares_;
};

/// Derivatives of cross-entropy, or of half the squared error in the task's unit, by the scores.
std::vector<double> slopes_of(const TaskSpec& task, const Example& example, std::vector<double> scores) {
  if (task.kind == TaskKind::kRegression) {
    const ScoreUnit unit = score_unit(task);
    return {scores[0] - (static_cast<double>(example.target) - unit.low) / unit.unit};
  }
  softmax(scores);
  scores[static_cast<size_t>(example.label)] -= 1;
  return scores;
}

}  // namespace

std::vector<std::vector<float>> bag_of_words_outputs(const TaskSpec& task, const Dataset& train,
                                                     const std::vector<Dataset>& others) {
  constexpr int kEpochs = 10;
  BC_CHECK(train.labelling == Labelling::kLabelled, task.name);
  FeatureIds ids;
  std::vector<std::vector<Feature>> rows;
  for (const Example& example : train.examples) {
    rows.push_back(ids.add(example));
  }
  LinearModel model(ids.size(), static_cast<size_t>(task.classes()));
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const util::Permutation order(rows.size(), util::mix_key({0, static_cast<uint64_t>(epoch)}));
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t chosen = order(i);
      model.step(rows[chosen], slopes_of(task, train.examples[chosen], model.scores(rows[chosen])));
    }
  }
  const ScoreUnit unit = score_unit(task);
  std::vector<std::vector<float>> outputs;
  for (const Dataset& dataset : others) {
    std::vector<float>& answers = outputs.emplace_back();
    for (const Example& example : dataset.examples) {
      for (const double score : model.scores(ids.of(example))) {
        answers.push_back(static_cast<float>(unit.low + unit.unit * score));
      }
    }
  }
  return outputs;
}

}  // namespace bertcram::glue
