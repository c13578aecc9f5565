#include "bertcram/glue/bag_of_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <span>

#include "bertcram/glue/metrics.h"
#include "bertcram/util/random.h"

namespace bertcram::glue {
namespace {

/// A text of a class's own words among common ones.
Dataset sentiments(uint64_t seed, int count) {
  util::RandomStream random(seed);
  Dataset dataset = {.labelling = Labelling::kLabelled};
  for (int i = 0; i < count; ++i) {
    const auto label = static_cast<int32_t>(random.below(2));
    std::string text;
    for (int word = 0; word < 8; ++word) {
      text += "w" + std::to_string(random.below(50)) + " ";
    }
    text += std::string(label == 1 ? "Good" : "bad") + std::to_string(random.below(3)) + "!";
    dataset.examples.push_back({.text_a = text, .label = label});
  }
  return dataset;
}

std::vector<int32_t> answers(const std::vector<float>& outputs, size_t classes) {
  std::vector<int32_t> best;
  for (auto row = outputs.begin(); row != outputs.end(); row += static_cast<std::ptrdiff_t>(classes)) {
    best.push_back(static_cast<int32_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row));
  }
  return best;
}

std::vector<int32_t> labels(const Dataset& dataset) {
  std::vector<int32_t> all;
  std::ranges::transform(dataset.examples, std::back_inserter(all), &Example::label);
  return all;
}

TEST(BagOfWords, LearnsWordsAndIsDeterministic) {
  const Dataset dev = sentiments(2, 300);
  const auto outputs = bag_of_words_outputs(find_task("sst2"), sentiments(1, 400), {dev}).front();
  ASSERT_EQ(outputs.size(), 600U);
  EXPECT_GT(accuracy(answers(outputs, 2), labels(dev)), 0.97);
  EXPECT_EQ(bag_of_words_outputs(find_task("sst2"), sentiments(1, 400), {dev}).front(), outputs) << "deterministic";
}

TEST(BagOfWords, TellsParaphrasesByTheWordsThatPairsShare) {
  util::RandomStream random(5);
  const auto pairs = [&](int count) {
    Dataset dataset = {.labelling = Labelling::kLabelled};
    for (int i = 0; i < count; ++i) {
      std::string a;
      std::string b;
      const auto label = static_cast<int32_t>(random.below(2));
      for (int word = 0; word < 6; ++word) {
        const std::string same = "w" + std::to_string(random.below(2000));
        a += same + " ";
        b += (label == 1 || word < 2 ? same : "w" + std::to_string(random.below(2000))) + " ";
      }
      dataset.examples.push_back({.text_a = a, .text_b = b, .label = label});
    }
    return dataset;
  };
  const Dataset train = pairs(300);
  const Dataset dev = pairs(300);
  EXPECT_GT(accuracy(answers(bag_of_words_outputs(find_task("mrpc"), train, {dev}).front(), 2), labels(dev)), 0.95);
}

// The classes differ by whether a word is in both texts or in neither, or in one of them, beside others that say nothing.
TEST(BagOfWords, TellsPairsByWhereAWordIs) {
  util::RandomStream random(6);
  const auto words = [&](const std::string& kind) {
    std::string text;
    for (uint64_t i = random.below(5); i > 0; --i) {
      text += kind + std::to_string(random.below(20)) + " ";
    }
    return text;
  };
  Dataset train = {.labelling = Labelling::kLabelled};
  for (int i = 0; i < 800; ++i) {
    const bool in_a = random.below(2) == 1;
    const bool in_b = random.below(2) == 1;
    const std::string common = words("c");
    train.examples.push_back({.text_a = "start " + common + words("a") + (in_a ? "not" : ""),
                              .text_b = "start " + common + words("b") + (in_b ? "not" : ""),
                              .label = in_a == in_b ? 1 : 0});
  }
  const auto outputs = bag_of_words_outputs(find_task("mrpc"), train, {train}).front();
  EXPECT_GT(accuracy(answers(outputs, 2), labels(train)), 0.97);
}

TEST(BagOfWords, FitsScores) {
  Dataset train = {.labelling = Labelling::kLabelled};
  for (int i = 0; i < 200; ++i) {
    const bool is_same = i % 2 == 0;
    train.examples.push_back(
        {.text_a = "a dog runs", .text_b = is_same ? "a dog runs" : "the moon", .target = is_same ? 5.0F : 0.0F});
  }
  const auto outputs = bag_of_words_outputs(find_task("stsb"), train, {train}).front();
  EXPECT_GT(outputs[0], 4);
  EXPECT_LT(outputs[1], 1);
}

// Found by review: steps are of a fixed size, so that of scores from -50 to 50 less was learnt than of the same from 0 to 5.
TEST(BagOfWords, TheUnitOfScoresDoesNotMatter) {
  util::RandomStream random(8);
  Dataset small = {.labelling = Labelling::kLabelled};
  for (int i = 0; i < 300; ++i) {
    std::string text;
    float target = 0;
    for (int word = 0; word < 5; ++word) {
      const auto which = random.below(40);
      text += "w" + std::to_string(which) + " ";
      target += which < 20 ? 1 : 0;
    }
    small.examples.push_back({.text_a = text, .target = target});
  }
  Dataset large = small;
  for (Example& example : large.examples) {
    example.target = 20 * example.target - 50;
  }
  TaskSpec task = find_task("stsb");
  const auto in_fives = bag_of_words_outputs(task, small, {small}).front();
  task.range_low = -50;
  task.range_high = 50;
  const auto in_hundreds = bag_of_words_outputs(task, large, {large}).front();
  std::vector<float> targets;
  std::ranges::transform(small.examples, std::back_inserter(targets), &Example::target);
  const auto correlation = [&](const std::vector<float>& outputs) {
    return compute_metrics(task, std::span<const float>(outputs), std::span<const float>(targets)).at("pearson");
  };
  EXPECT_GT(correlation(in_fives), 0.8);
  EXPECT_NEAR(correlation(in_hundreds), correlation(in_fives), 1e-6);
  for (size_t i = 0; i < in_fives.size(); ++i) {
    ASSERT_NEAR(in_hundreds[i], 20 * in_fives[i] - 50, 1e-3);
  }
}

TEST(BagOfWords, WordsThatTrainingDidNotHaveSayNothing) {
  Dataset train = {
      .examples = {{.text_a = "yes", .label = 1}, {.text_a = "yes yes", .label = 1}, {.text_a = "no", .label = 0}},
      .labelling = Labelling::kLabelled};
  Dataset other = {.examples = {{.text_a = "perhaps"}, {.text_a = ""}}};
  const auto outputs = bag_of_words_outputs(find_task("sst2"), train, {other}).front();
  EXPECT_EQ(outputs[0], outputs[2]);
  EXPECT_GT(outputs[1], outputs[0]) << "the frequent class";
}

}  // namespace
}  // namespace bertcram::glue
