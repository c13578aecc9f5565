#include "bertcram/glue/submission.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bertcram/util/file.h"
#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::Scratch;

TEST(Submission, HasElevenFilesOfTheOfficialTestSets) {
  std::vector<std::string> names;
  for (const SubmissionEntry& entry : submission_entries()) {
    names.push_back(entry.name);
    EXPECT_EQ(test_split_of(entry).submission_name, entry.name);
    const TaskSpec& task = find_task(entry.task);
    if (task.kind == TaskKind::kClassification) {
      EXPECT_NE(std::ranges::find(task.labels, entry.usual), task.labels.end()) << entry.name;
    }
    EXPECT_EQ(task.scored_with.empty() ? task.name : task.scored_with, entry.model);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"AX", "CoLA", "MNLI-m", "MNLI-mm", "MRPC", "QNLI", "QQP", "RTE", "SST-2",
                                             "STS-B", "WNLI"}));
}

TEST(Submission, AnswersAreLabelWordsOrScoresWithinTheRange) {
  EXPECT_EQ(submission_answers(find_task("rte"), std::vector<float>{0, 1, 2, 1}),
            (std::vector<std::string>{"not_entailment", "entailment"}));
  EXPECT_EQ(submission_answers(find_task("mnli"), std::vector<float>{0, 1, 2}),
            (std::vector<std::string>{"contradiction"}));
  EXPECT_EQ(submission_answers(find_task("cola"), std::vector<float>{0, 1}), (std::vector<std::string>{"1"}));
  EXPECT_EQ(submission_answers(find_task("stsb"), std::vector<float>{-0.25F, 5.5F, 1.23456F}),
            (std::vector<std::string>{"0.000", "5.000", "1.235"}));
}

TEST(Submission, TextHasAHeadAndCountsFromZero) {
  EXPECT_EQ(submission_text(std::vector<std::string>{"1", "0"}), "index\tprediction\n0\t1\n1\t0\n");
  const auto& wnli = submission_entries().back();
  const std::string text = usual_submission_text(wnli);
  EXPECT_EQ(std::ranges::count(text, '\n'), 147);
  EXPECT_TRUE(text.ends_with("\n145\t0\n"));
}

TEST(Submission, EqualFilesGiveEqualBytesAndNothingElseIsLeft) {
  const Scratch scratch;
  const std::map<std::string, std::string> files = {{"RTE", "index\tprediction\n0\tentailment\n"}, {"AX", "x"}};
  write_submission(scratch.root() / "a/one.zip", files);
  write_submission(scratch.root() / "a/two.zip", files);
  const std::string bytes = util::read_file(scratch.root() / "a/one.zip");
  EXPECT_EQ(util::read_file(scratch.root() / "a/two.zip"), bytes);
  EXPECT_TRUE(bytes.starts_with("PK\x03\x04"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.root() / "a"), {}), 2);
  write_submission(scratch.root() / "a/one.zip", {{"AX", "y"}});
  EXPECT_NE(util::read_file(scratch.root() / "a/one.zip"), bytes);
}

TEST(Submission, AFolderInTheWayIsAResourceError) {
  const Scratch scratch;
  scratch.write("taken", "a file");
  EXPECT_THROW(write_submission(scratch.root() / "taken/sub.zip", {{"AX", "x"}}), ResourceError);
}

}  // namespace
}  // namespace bertcram::glue
