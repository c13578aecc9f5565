#include "bertcram/glue/task.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;
using Words = std::vector<std::string>;

TEST(Tasks, LabelsHaveHuggingFacesOrder) {
  EXPECT_EQ(find_task("mnli").labels, (Words{"entailment", "neutral", "contradiction"}));
  EXPECT_EQ(find_task("ax").labels, find_task("mnli").labels);
  EXPECT_EQ(find_task("qnli").labels, (Words{"entailment", "not_entailment"}));
  EXPECT_EQ(find_task("rte").labels, (Words{"entailment", "not_entailment"}));
  for (const char* name : {"cola", "sst2", "mrpc", "qqp", "wnli"}) {
    EXPECT_EQ(find_task(name).labels, (Words{"0", "1"})) << name;
  }
  EXPECT_EQ(find_task("stsb").classes(), 1);
  EXPECT_EQ(find_task("mnli").classes(), 3);
}

TEST(Tasks, PrimaryMetricsAreThoseOfTheTwoProtocols) {
  const auto primary = [](const char* name) {
    const TaskSpec& task = find_task(name);
    return std::pair(task.primary.cramming, task.primary.mosaic_bert);
  };
  EXPECT_EQ(primary("cola"), std::pair(Metric::kMatthews, Metric::kMatthews));
  EXPECT_EQ(primary("mrpc"), std::pair(Metric::kF1, Metric::kAccuracyF1Mean));
  EXPECT_EQ(primary("qqp"), std::pair(Metric::kF1, Metric::kAccuracyF1Mean));
  EXPECT_EQ(primary("stsb"), std::pair(Metric::kPearson, Metric::kSpearman));
  for (const char* name : {"sst2", "mnli", "qnli", "rte", "wnli"}) {
    EXPECT_EQ(primary(name), std::pair(Metric::kAccuracy, Metric::kAccuracy)) << name;
  }
}

TEST(Tasks, ThePrimaryMetricIsAlwaysAmongThoseComputed) {
  for (const TaskSpec& task : builtin_tasks()) {
    for (const Metric metric : {task.primary.cramming, task.primary.mosaic_bert, task.primary.bert_paper}) {
      EXPECT_NE(std::ranges::find(task.metrics, metric), task.metrics.end()) << task.name;
    }
  }
}

TEST(Tasks, AreFoundInAnySpelling) {
  EXPECT_EQ(find_task("SST-2").name, "sst2");
  EXPECT_EQ(find_task(" sts_b ").name, "stsb");
  EXPECT_EQ(find_task("CoLA").name, "cola");
}

TEST(Tasks, AMisspeltTaskIsCorrected) {
  const auto message = message_of<ConfigError>([] { find_task("mlni"); });
  EXPECT_TRUE(contains(message, "unknown task 'mlni'; did you mean 'mnli'?"));
}

TEST(Tasks, AListKeepsItsOrderAndDropsRepetitions) {
  EXPECT_EQ(expand_task_list("rte, MNLI,rte"), (Words{"rte", "mnli"}));
  EXPECT_EQ(expand_task_list("all"), (Words{"cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"}));
}

TEST(Tasks, AListWithAnEmptyOrUntrainableNameIsRefused) {
  EXPECT_TRUE(contains(message_of<ConfigError>([] { expand_task_list("mnli,,rte"); }), "empty name"));
  EXPECT_TRUE(contains(message_of<ConfigError>([] { expand_task_list(""); }), "empty name"));
  EXPECT_TRUE(contains(message_of<ConfigError>([] { expand_task_list("ax"); }), "ask for --task mnli"));
}

TEST(Tasks, ResultsAreShownInGlueOrderWithBothMnliSets) {
  EXPECT_EQ(reported_order(),
            (Words{"cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "mnli-mm", "qnli", "rte", "wnli", "ax"}));
}

TEST(Tasks, TestSplitsCarryTheNamesOfTheGlueSubmission) {
  Words names;
  for (const TaskSpec& task : builtin_tasks()) {
    for (const SplitSpec& split : task.test) {
      names.push_back(split.submission_name);
      EXPECT_FALSE(split.sources[0].label.has_value()) << task.name;
    }
  }
  EXPECT_EQ(names, (Words{"CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI-m", "MNLI-mm", "QNLI", "RTE", "WNLI", "AX"}));
}

TEST(Tasks, ALongLabelListIsCutInMessages) {
  TaskSpec task;
  for (int label = 0; label < 45; ++label) {
    task.labels.push_back(std::to_string(label));
  }
  EXPECT_TRUE(contains(label_list(task), "11, … (45 in all)"));
}

}  // namespace
}  // namespace bertcram::glue
