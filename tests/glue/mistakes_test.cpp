#include "bertcram/glue/mistakes.h"

#include <gtest/gtest.h>

#include "bertcram/glue/unit.h"
#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;
using testing::Scratch;

TEST(Mistakes, AreThoseTheModelWasSurestOf) {
  const Scratch scratch;
  const TaskSpec& task = find_task("rte");
  const Dataset dataset = {.examples = {{.text_a = "a", .text_b = "b", .label = 0, .line = 2},
                                        {.text_a = "c\td", .text_b = "e\nf", .label = 1, .line = 3},
                                        {.text_a = "g", .text_b = "h", .label = 1, .line = 4}},
                           .labelling = Labelling::kLabelled};
  save_predictions(task, dataset, std::vector<float>{0, 1, 5, 0, 0, 1}, scratch.root() / "p.tsv");
  EXPECT_EQ(mistake_rows(task, task.name, dataset, scratch.root() / "p.tsv", 9),
            "rte\t3\tnot_entailment\tentailment\t0.9933\tc d\te f\n"
            "rte\t2\tentailment\tnot_entailment\t0.7311\ta\tb\n");
  EXPECT_EQ(mistake_rows(task, task.name, dataset, scratch.root() / "p.tsv", 1),
            "rte\t3\tnot_entailment\tentailment\t0.9933\tc d\te f\n");
}

TEST(Mistakes, OfScoresAreThoseFurthestOff) {
  const Scratch scratch;
  const TaskSpec& task = find_task("stsb");
  const Dataset dataset = {.examples = {{.text_a = "a", .text_b = "b", .target = 2, .line = 2},
                                        {.text_a = "c", .text_b = "d", .target = 4.27F, .line = 3}},
                           .labelling = Labelling::kLabelled};
  save_predictions(task, dataset, std::vector<float>{1.5F, 1.25F}, scratch.root() / "p.tsv");
  EXPECT_EQ(mistake_rows(task, task.name, dataset, scratch.root() / "p.tsv", 1),
            "stsb\t3\t4.27\t1.250000\t3.0200\tc\td\n");
}

TEST(Mistakes, AFileOfOtherPredictionsIsRefused) {
  const Scratch scratch;
  const TaskSpec& task = find_task("rte");
  Dataset dataset = {.examples = {{.label = 0, .line = 2}}, .labelling = Labelling::kLabelled};
  save_predictions(task, dataset, std::vector<float>{0, 1}, scratch.root() / "p.tsv");
  dataset.examples.push_back({.label = 0, .line = 3});
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { mistake_rows(task, task.name, dataset, scratch.root() / "p.tsv", 1); }),
               "1 predictions for 2 examples"));
  scratch.write("q.tsv", "line\tlabel\tprediction\n2\tentailment\tentailment\n");
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { mistake_rows(task, task.name, dataset, scratch.root() / "q.tsv", 1); }),
               "q.tsv:2: not as many columns"));
}

}  // namespace
}  // namespace bertcram::glue
