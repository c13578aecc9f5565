// The official files: every split has the published number of examples.

#include <gtest/gtest.h>

#include <algorithm>

#include "bertcram/glue/reader.h"
#include "bertcram/glue/submission.h"
#include "bertcram/glue/task_file.h"
#include "scratch.h"
#include "util/source_dir.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;

class RealGlue : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(glue_)) {
      GTEST_SKIP() << "no GLUE data at " << glue_ << "; set BERTCRAM_DATA_DIR";
    }
  }
  Dataset train(const char* task) const { return read_split(find_task(task), *find_task(task).train, glue_); }
  Dataset dev(const char* task) const { return read_split(find_task(task), find_task(task).dev[0], glue_); }
  Dataset test(const char* task) const { return read_split(find_task(task), find_task(task).test[0], glue_); }

  std::filesystem::path data_ = test::data_dir();
  std::filesystem::path glue_ = data_ / "glue";
};

TEST_F(RealGlue, EverySplitHasItsPublishedNumberOfExamples) {
  struct Expected {
    const char* task;
    int64_t train, dev, test;
  };
  for (const auto& [task, train_count, dev_count, test_count] :
       {Expected{"cola", 8551, 1043, 1063}, Expected{"sst2", 67349, 872, 1821}, Expected{"mrpc", 3668, 408, 1725},
        Expected{"stsb", 5749, 1500, 1379}, Expected{"rte", 2490, 277, 3000}, Expected{"wnli", 635, 71, 146}}) {
    EXPECT_EQ(train(task).size(), train_count) << task;
    EXPECT_EQ(dev(task).size(), dev_count) << task;
    EXPECT_EQ(test(task).size(), test_count) << task;
    EXPECT_EQ(train(task).skipped_rows + dev(task).skipped_rows, 0) << task;
  }
}

TEST_F(RealGlue, TheIncompleteTasksHaveTheSplitsThatAreThere) {
  EXPECT_EQ(dev("qnli").size(), 5463);
  EXPECT_EQ(test("qnli").size(), 5463);
  EXPECT_EQ(dev("mnli").size(), 9815);
  EXPECT_EQ(dev("ax").size(), 1104);
  EXPECT_EQ(test("ax").size(), 1104);
  EXPECT_TRUE(contains(message_of<DataError>([&] { train("qqp"); }), "QQP/train.tsv"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { train("mnli"); }), "MNLI/train.tsv"));
}

TEST_F(RealGlue, TheQqpSampleReadsUnderTheOfficialColumns) {
  SplitSpec sample = *find_task("qqp").train;
  sample.sources[0].file = "train.sample.tsv";
  EXPECT_EQ(read_split(find_task("qqp"), sample, glue_).size(), 23496);
}

TEST_F(RealGlue, TestSetsHaveTheRowsThatASubmissionStates) {
  std::vector<std::string> present;
  for (const SubmissionEntry& entry : submission_entries()) {
    const TaskSpec& task = find_task(entry.task);
    const SplitSpec& split = test_split_of(entry);
    if (split_availability(task, split, glue_) == Availability::kPresent) {
      EXPECT_EQ(read_split(task, split, glue_).size(), entry.rows) << entry.name;
      present.push_back(entry.name);
    }
  }
  EXPECT_EQ(present, (std::vector<std::string>{"AX", "CoLA", "MRPC", "QNLI", "RTE", "SST-2", "STS-B", "WNLI"}));
}

TEST_F(RealGlue, LabelCountsAreTheOfficialOnes) {
  EXPECT_EQ(dev("mnli").label_counts, (std::vector<int64_t>{3479, 3123, 3213}));
  EXPECT_EQ(train("mrpc").label_counts, (std::vector<int64_t>{1194, 2474}));
  EXPECT_EQ(dev("rte").label_counts, (std::vector<int64_t>{146, 131}));
  EXPECT_EQ(dev("cola").label_counts, (std::vector<int64_t>{322, 721}));
}

std::vector<std::string> sorted_pairs(const Dataset& dataset) {
  std::vector<std::string> pairs;
  for (const Example& example : dataset.examples) {
    pairs.push_back(example.text_a + "\t" + example.text_b.value_or("") + "\t" + std::to_string(example.label));
  }
  std::ranges::sort(pairs);
  return pairs;
}

TEST_F(RealGlue, MicrosoftsArchiveGivesTheSameMrpcAsTheTsvFiles) {
  TaskSpec archive = find_task("mrpc");
  for (SplitSpec* split : {&*archive.train, &archive.dev[0]}) {
    split->sources.erase(split->sources.begin());
  }
  EXPECT_EQ(sorted_pairs(read_split(archive, *archive.train, glue_)), sorted_pairs(train("mrpc")));
  EXPECT_EQ(sorted_pairs(read_split(archive, archive.dev[0], glue_)), sorted_pairs(dev("mrpc")));
}

TEST_F(RealGlue, AUsersTaskFileReadsTheSentimentData) {
  const testing::Scratch scratch;
  const std::string yaml =
      "name: sentiment\ntrain: sentiment_cr/train.tsv\ndev: sentiment_cr/dev.tsv\n"
      "header: no\ncolumns: {sentence1: 1, label: 0}\n";
  const auto refusal = message_of<DataError>([&] { load_task_file(scratch.write("cr.yaml", yaml), data_ / "tasks"); });
  EXPECT_TRUE(contains(refusal, "train.tsv:1763: empty text"));  // the one row without a sentence
  EXPECT_TRUE(contains(refusal, "'bad_rows: skip'"));
  const TaskSpec task = load_task_file(scratch.write("cr.yaml", yaml + "bad_rows: skip\n"), data_ / "tasks");
  EXPECT_EQ(task.labels, (std::vector<std::string>{"0", "1"}));
  const Dataset train = read_split(task, *task.train, data_ / "tasks");
  EXPECT_EQ(train.skipped_rows, 1);
  EXPECT_EQ(train.label_counts, (std::vector<int64_t>{1077, 1938}));
  EXPECT_EQ(read_split(task, task.dev[0], data_ / "tasks").size(), 755);
}

}  // namespace
}  // namespace bertcram::glue
