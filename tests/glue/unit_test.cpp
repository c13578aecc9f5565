#include "bertcram/glue/unit.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bertcram/glue/task.h"
#include "bertcram/util/file.h"
#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;
using testing::Scratch;

UnitRecord some_unit() {
  return {.id = {.task = "mnli", .seed = 3, .grid_rate = 5e-5},
          .epoch = 2,
          .training_examples = 392'702,
          .truncated = 17,
          .training_seconds = 1234.5,
          .runtime = "cpu (1 thread), fp32",
          .dev = {{.reported_name = "mnli",
                   .examples = 9815,
                   .truncated = 1,
                   .metrics = {{"accuracy", 100.0 / 3}},
                   .intervals = {{"accuracy", {32.5, 34}}},
                   .classes = {{3, 4, 2}, {1, 0, 0}, {5, 5, 5}}},
                  {.reported_name = "ax", .examples = 1104, .metrics = {{"matthews", -1e-17}}}}};
}

TEST(Unit, FoldersSayTaskSeedAndPointOfTheGrid) {
  EXPECT_EQ((UnitId{.task = "rte", .seed = 4}).folder(), "rte-seed4");
  EXPECT_EQ((UnitId{.task = "rte", .seed = 4, .grid_rate = 5e-5}).folder(), "rte-seed4-rate5e-05");
}

TEST(Unit, ReadBackEqualsWhatWasWritten) {
  const Scratch scratch;
  EXPECT_EQ(load_unit(scratch.root()), std::nullopt);
  save_unit(some_unit(), scratch.root());
  const std::string bytes = util::read_file(scratch.root() / kUnitFile);
  const auto read = load_unit(scratch.root());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id.folder(), "mnli-seed3-rate5e-05");
  EXPECT_EQ(read->training_seconds, 1234.5);
  ASSERT_EQ(read->dev.size(), 2U);
  EXPECT_EQ(read->dev[0].metrics.at("accuracy"), 100.0 / 3);
  EXPECT_EQ(read->dev[0].classes[2].correct, 5);
  EXPECT_EQ(read->dev[1].metrics.at("matthews"), -1e-17);
  save_unit(*read, scratch.root());
  EXPECT_EQ(util::read_file(scratch.root() / kUnitFile), bytes);
}

TEST(Unit, AnEditedNumberIsRefused) {
  const Scratch scratch;
  save_unit(some_unit(), scratch.root());
  std::string text = util::read_file(scratch.root() / kUnitFile);
  text.replace(text.find("9815"), 4, "9915");
  scratch.write(kUnitFile, text);
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_unit(scratch.root()); }),
                       "unit.json: its numbers are not those that were written"));
}

TEST(Unit, EditedPredictionsAreRefused) {
  const Scratch scratch;
  scratch.write("predictions.mnli.tsv", "line\tlabel\tprediction\n2\tneutral\tneutral\n");
  save_unit(some_unit(), scratch.root());
  EXPECT_NO_THROW(check_predictions(scratch.root(), "mnli"));
  EXPECT_NO_THROW(check_predictions(scratch.root(), "ax")) << "a unit that has no hash, as those written before";
  scratch.write("predictions.mnli.tsv", "line\tlabel\tprediction\n2\tneutral\tentailment\n");
  EXPECT_TRUE(contains(message_of<DataError>([&] { check_predictions(scratch.root(), "mnli"); }),
                       "predictions.mnli.tsv: its predictions are not those that were written; restore it"));
}

TEST(Unit, ATruncatedFileIsRefusedAtEveryLength) {
  const Scratch scratch;
  save_unit(some_unit(), scratch.root());
  const std::string whole = util::read_file(scratch.root() / kUnitFile);
  for (size_t length = 0; length + 2 < whole.size(); length += 7) {  // the last two bytes are "}\n"
    scratch.write(kUnitFile, whole.substr(0, length));
    EXPECT_TRUE(contains(message_of<DataError>([&] { load_unit(scratch.root()); }), "remove the folder")) << length;
  }
}

/// A run of a search.
UnitRecord tried(double rate, int64_t seed, double score) {
  return {.id = {.task = "rte", .seed = seed, .grid_rate = rate},
          .dev = {{.reported_name = "rte", .metrics = {{"accuracy", score}}}}};
}

TEST(Unit, TheBestRateIsThatOfTheBestMeanAndOfEqualOnesTheHighest) {
  std::vector<UnitRecord> records = {tried(2e-5, 0, 0.1), tried(5e-5, 0, 0.3), tried(2e-5, 1, 0.2),
                                     tried(5e-5, 1, 0.2), tried(2e-5, 2, 0.3), tried(5e-5, 2, 0.1)};
  EXPECT_GT(0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1) << "as a computer adds them";
  for (int turn = 0; turn < 6; ++turn) {
    EXPECT_EQ(mean_by_rate(records, "accuracy").at(2e-5), mean_by_rate(records, "accuracy").at(5e-5));
    EXPECT_EQ(best_rate(records, "accuracy"), 5e-5);
    EXPECT_EQ(best_unit(records, "accuracy")->folder(), "rte-seed0-rate5e-05");
    std::ranges::rotate(records, records.begin() + 1);
  }
  records.push_back(tried(2e-5, 3, 0.3));
  EXPECT_EQ(best_rate(records, "accuracy"), 2e-5);
  EXPECT_EQ(best_unit(records, "accuracy")->folder(), "rte-seed2-rate2e-05") << "the earlier of two equal seeds";
  EXPECT_EQ(best_unit({}, "accuracy"), std::nullopt);
}

TEST(Unit, OfEachRateTheBestRunIsKnown) {
  const std::vector<UnitRecord> records = {tried(2e-5, 1, 50), tried(5e-5, 0, 40), tried(2e-5, 0, 50),
                                           tried(5e-5, 1, 41)};
  const auto best = best_of_each_rate(records, "accuracy");
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0].folder(), "rte-seed0-rate2e-05");
  EXPECT_EQ(best[1].folder(), "rte-seed1-rate5e-05");
}

TEST(Unit, ScoresHavePointsAndClassesAndIntervalsOnRequest) {
  const TaskSpec& task = find_task("rte");
  Dataset dataset = {.examples = {{.label = 0, .line = 2}, {.label = 1, .line = 3}, {.label = 1, .line = 4}},
                     .labelling = Labelling::kLabelled};
  const std::vector<float> outputs = {2, 1, 0, 3, 5, 4};
  const SplitScores scores = score_split(task, dataset, outputs);
  EXPECT_EQ(scores.examples, 3);
  EXPECT_DOUBLE_EQ(scores.metrics.at("accuracy"), 200.0 / 3);
  EXPECT_TRUE(scores.intervals.empty()) << "nobody asks for those of every look";
  const Interval interval = score_intervals(task, dataset, outputs).at("accuracy");
  const Interval share =
      bootstrap_intervals(task, std::vector<int32_t>{0, 1, 0}, std::vector<int32_t>{0, 1, 1}).at("accuracy");
  EXPECT_EQ(interval.low, 100 * share.low);
  EXPECT_EQ(interval.high, 100 * share.high);
  EXPECT_GT(interval.high, 66.7);
  EXPECT_EQ(scores.classes[0].predicted, 2);
  EXPECT_EQ(scores.classes[1].correct, 1);
}

TEST(Unit, PredictionsStateLineLabelAndProbabilities) {
  const Scratch scratch;
  Dataset dataset = {.examples = {{.label = 0, .line = 2}, {.label = 1, .line = 5}}, .labelling = Labelling::kLabelled};
  save_predictions(find_task("rte"), dataset, std::vector<float>{0, 0, 0, 1000}, scratch.root() / "p.tsv");
  EXPECT_EQ(util::read_file(scratch.root() / "p.tsv"),
            "line\tlabel\tprediction\tp(entailment)\tp(not_entailment)\n"
            "2\tentailment\tentailment\t0.500000\t0.500000\n"
            "5\tnot_entailment\tnot_entailment\t0.000000\t1.000000\n");
  dataset.labelling = Labelling::kUnlabelled;
  save_predictions(find_task("rte"), dataset, std::vector<float>{0, 0, 0, 1000}, scratch.root() / "q.tsv");
  EXPECT_TRUE(util::read_file(scratch.root() / "q.tsv").starts_with("line\tprediction\tp(entailment)"));
  Dataset similar = {.examples = {{.target = 2.5F, .line = 2}}, .labelling = Labelling::kLabelled};
  save_predictions(find_task("stsb"), similar, std::vector<float>{3.25F}, scratch.root() / "r.tsv");
  EXPECT_EQ(util::read_file(scratch.root() / "r.tsv"), "line\ttarget\tprediction\n2\t2.5\t3.250000\n");
}

}  // namespace
}  // namespace bertcram::glue
