#include "bertcram/glue/task_file.h"

#include <gtest/gtest.h>

#include "bertcram/glue/reader.h"
#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;
using testing::Scratch;

constexpr const char* kGood =
    "name: sense\n"
    "train: train.tsv\n"
    "dev: dev.tsv\n"
    "columns: {sentence1: text, label: class}\n";

/// Loads a task file with this content, a usable train file beside it.
TaskSpec load(const Scratch& scratch, const std::string& yaml) {
  scratch.write("train.tsv", "class\ttext\nnoun\ta dog\nverb\tto bark\nnoun\ta cat\n");
  return load_task_file(scratch.write("task.yaml", yaml));
}

std::string refusal(const std::string& yaml) {
  const Scratch scratch;
  return message_of<ConfigError>([&] { load(scratch, yaml); });
}

TEST(TaskFile, CollectsSortedLabelsFromTheTrainFile) {
  const Scratch scratch;
  const TaskSpec task = load(scratch, kGood);
  EXPECT_EQ(task.name, "sense");
  EXPECT_EQ(task.labels, (std::vector<std::string>{"noun", "verb"}));
  EXPECT_EQ(task.metrics, std::vector{Metric::kAccuracy});
  const Dataset train = read_split(task, *task.train, {});
  ASSERT_EQ(train.size(), 3);
  EXPECT_EQ(train.examples[1].text_a, "to bark");
  EXPECT_EQ(train.examples[1].label, 1);
  EXPECT_EQ(train.label_counts, (std::vector<int64_t>{2, 1}));
}

TEST(TaskFile, SortsIntegerLabelsByValue) {
  const Scratch scratch;
  scratch.write("train.tsv", "10\ta\n9\tb\n-1\tc\n");
  const TaskSpec task = load_task_file(
      scratch.write("t.yaml", "name: t\ntrain: train.tsv\ndev: d\nheader: no\ncolumns: {sentence1: 1, label: 0}\n"));
  EXPECT_EQ(task.labels, (std::vector<std::string>{"-1", "9", "10"}));
}

TEST(TaskFile, SaysWhichLabelsWereCollectedAndWarnsOfScores) {
  const Scratch scratch;
  EXPECT_EQ(notes_on(load(scratch, kGood)).facts,
            (std::vector<std::string>{"sense: 2 labels, collected from train: noun, verb"}));
  EXPECT_TRUE(notes_on(load(scratch, kGood)).warnings.empty());
  EXPECT_TRUE(notes_on(load(scratch, std::string(kGood) + "labels: [verb, noun]\n")).facts.empty());
  const auto warnings = [&](const std::string& rows) {
    scratch.write("scores.tsv", "class\ttext\n" + rows);
    return notes_on(load(scratch, "name: t\ntrain: scores.tsv\ndev: d\ncolumns: {sentence1: text, label: class}\n"))
        .warnings;
  };
  EXPECT_TRUE(warnings("1\ta\n2\tb\n").empty()) << "whole numbers are usual names of classes";
  ASSERT_EQ(warnings("0.5\ta\n2\tb\n").size(), 1U);
  EXPECT_TRUE(contains(warnings("0.5\ta\n2\tb\n").front(), "did you mean 'range: [low, high]'?"));
}

TEST(TaskFile, SaysWhichLabelIsThePositiveOneOfF1) {
  const Scratch scratch;
  const std::string yaml = std::string(kGood) + "metric: [accuracy, f1]\n";
  EXPECT_EQ(notes_on(load(scratch, yaml)).facts.back(), "sense: f1 is that of 'verb'");
  EXPECT_EQ(notes_on(load(scratch, yaml + "labels: [verb, noun]\n")).facts,
            (std::vector<std::string>{"sense: f1 is that of 'noun'"}));
  EXPECT_TRUE(notes_on(find_task("mrpc")).facts.empty());
}

TEST(TaskFile, KeepsTheOrderOfListedLabels) {
  const Scratch scratch;
  const TaskSpec task = load(scratch, std::string(kGood) + "labels: [verb, noun]\nmetric: [f1, accuracy]\n");
  EXPECT_EQ(task.labels, (std::vector<std::string>{"verb", "noun"}));
  EXPECT_EQ(task.primary.cramming, Metric::kF1);
  EXPECT_EQ(task.metrics.size(), 2U);
}

TEST(TaskFile, LabelsAreReadWithoutWhiteSpaceAtTheirEndsAsThoseOfTheRows) {
  const Scratch scratch;
  const TaskSpec task = load(scratch, std::string(kGood) + "labels: [\" verb\", \"noun \\t\", \"two words\"]\n");
  EXPECT_EQ(task.labels, (std::vector<std::string>{"verb", "noun", "two words"}));
  EXPECT_EQ(read_split(task, *task.train, {}).label_counts, (std::vector<int64_t>{1, 2, 0}));
}

TEST(TaskFile, ReadsARegressionTaskByColumnNumbers) {
  const Scratch scratch;
  scratch.write("s.tsv", "1.5\ta\tb\n5\tc\td\n");
  const TaskSpec task =
      load_task_file(scratch.write("t.yaml",
                                   "name: similarity\ntrain: train.tsv\ndev: s.tsv\nheader: no\n"
                                   "columns: {sentence1: 1, sentence2: 2, label: 0}\nrange: [0, 5]\n"));
  const Dataset dev = read_split(task, task.dev[0], {});
  EXPECT_EQ(dev.examples[0].target, 1.5F);
  EXPECT_EQ(dev.examples[1].text_b, "d");
  EXPECT_EQ(task.primary.mosaic_bert, Metric::kPearson);
  EXPECT_EQ(task.classes(), 1);
}

TEST(TaskFile, ReadsCommaSeparatedValuesWithQuotesAndLineEndsInThem) {
  const Scratch scratch;
  scratch.write("train.csv", "id,text,class\r\n1,\"a \"\"dog\"\",\nat home\",noun\r\n2,to bark,verb\r\n");
  const TaskSpec task = load(scratch,
                             "name: sense\ntrain: train.csv\ndev: dev.csv\n"
                             "columns: {sentence1: text, label: class}\n");
  const Dataset train = read_split(task, *task.train, "");
  ASSERT_EQ(train.size(), 2);
  EXPECT_EQ(train.examples[0].text_a, "a \"dog\",\nat home");
  EXPECT_EQ(train.examples[0].line, 2);
  EXPECT_EQ(train.examples[1].text_a, "to bark");
  EXPECT_EQ(train.examples[1].label, 1);
  EXPECT_EQ(train.examples[1].line, 4);
}

TEST(TaskFile, RefusesQuotesThatDoNotPair) {
  const Scratch scratch;
  const auto complaint = [&](const std::string& row) {
    scratch.write("train.csv", "text,class\nfine,noun\n" + row + "\n");
    return message_of<DataError>([&] {
      load(scratch,
           "name: sense\ntrain: train.csv\ndev: dev.csv\ncolumns: {sentence1: text, label: class}\nlabels: [noun, "
           "verb]\n")
          .train.value();
      const TaskSpec task = load_task_file(scratch.root() / "task.yaml");
      read_split(task, *task.train, "");
    });
  };
  EXPECT_TRUE(contains(complaint("\"never closed,verb"), "train.csv:3: a quoted field that is never closed"));
  EXPECT_TRUE(contains(complaint("\"a\" b,verb"), "train.csv:3: ' b,verb' behind a closing quote"));
}

TEST(TaskFile, ReadsMembersOfJsonLines) {
  const Scratch scratch;
  scratch.write("train.jsonl",
                "{\"passage\": \"It rains.\", \"question\": \"Is it\\u2014wet?\", \"label\": true, \"idx\": 0}\n\n"
                "{\"question\": \"Dry?\", \"label\": false, \"passage\": \"No\\tsun.\"}\n");
  const TaskSpec task = load(scratch,
                             "name: boolq\ntrain: train.jsonl\ndev: dev.jsonl\n"
                             "columns: {sentence1: question, sentence2: passage, label: label}\n");
  EXPECT_EQ(task.labels, (std::vector<std::string>{"false", "true"}));
  const Dataset train = read_split(task, *task.train, "");
  ASSERT_EQ(train.size(), 2);
  EXPECT_EQ(train.examples[0].text_a, "Is it\u2014wet?");
  EXPECT_EQ(train.examples[0].label, 1);
  EXPECT_EQ(train.examples[1].text_b, "No\tsun.");
  EXPECT_EQ(train.examples[1].line, 3);
}

TEST(TaskFile, RefusesJsonLinesThatLackWhatIsAskedFor) {
  const Scratch scratch;
  const auto complaint = [&](const std::string& line) {
    scratch.write("train.jsonl", "{\"text\": \"fine\", \"class\": \"noun\"}\n" + line + "\n");
    scratch.write("task.yaml",
                  "name: sense\ntrain: train.jsonl\ndev: dev.jsonl\ncolumns: {sentence1: text, label: class}\n"
                  "labels: [noun, verb]\n");
    return message_of<DataError>([&] {
      const TaskSpec task = load_task_file(scratch.root() / "task.yaml");
      read_split(task, *task.train, "");
    });
  };
  EXPECT_TRUE(contains(complaint("{\"text\": \"x\"}"), "train.jsonl:2: no member 'class'; it has text"));
  EXPECT_TRUE(contains(complaint("{\"text\": null, \"class\": \"noun\"}"), ":2: 'text' is null; expected a text"));
  EXPECT_TRUE(contains(complaint("[1, 2]"), ":2: not a JSON object: '[1, 2]'"));
  EXPECT_TRUE(contains(complaint("{\"text\": "), ":2: not a JSON object"));
  EXPECT_TRUE(contains(complaint("{\"text\": \"x\", \"class\": \"adverb\"}"), ":2: unknown label 'adverb'"));
}

TEST(TaskFile, LooksForFilesBesideItselfAndThenInTheDataFolder) {
  const Scratch beside;
  const Scratch data;
  data.write("train.tsv", "class\ttext\na\tx\nb\ty\n");
  const auto file = beside.write("task.yaml", kGood);
  EXPECT_EQ(load_task_file(file, data.root()).labels, (std::vector<std::string>{"a", "b"}));
  beside.write("train.tsv", "class\ttext\nc\tx\nd\ty\n");
  EXPECT_EQ(load_task_file(file, data.root()).labels, (std::vector<std::string>{"c", "d"}));
}

TEST(TaskFile, AMissingTrainFileIsADataErrorThatNamesBothPlaces) {
  const Scratch beside;
  const Scratch data;
  const auto file = beside.write("task.yaml", kGood);
  const auto message = message_of<DataError>([&] { load_task_file(file, data.root()); });
  EXPECT_TRUE(contains(message, (beside.root() / "train.tsv").string()));
  EXPECT_TRUE(contains(message, (data.root() / "train.tsv").string()));
  EXPECT_THROW(load_task_file(beside.root() / "absent.yaml"), DataError);
}

TEST(TaskFile, AnUnknownKeyIsCorrectedWithItsLine) {
  EXPECT_TRUE(contains(refusal(std::string(kGood) + "metrics: f1\n"),
                       "task.yaml:5: unknown key 'metrics'; did you mean 'metric'?"));
  EXPECT_TRUE(contains(refusal("name: t\ncolumns:\n  sentence1: 0\n  lable: 1\n"),
                       "task.yaml:4: unknown key 'columns.lable'; did you mean 'columns.label'?"));
}

TEST(TaskFile, RefusesWhatItCannotMean) {
  const std::string good = kGood;
  EXPECT_TRUE(contains(refusal(good + "name: again\n"), ":5: duplicate key 'name'"));
  EXPECT_TRUE(contains(refusal("name: rte\n"), ":1: name 'rte' belongs to GLUE"));
  EXPECT_TRUE(contains(refusal("name: test\n"), ":1: name 'test' belongs to GLUE"));
  EXPECT_TRUE(contains(refusal("name: pets-seed0\n"), ":1: name 'pets-seed0' has '-seed' in it"));
  EXPECT_TRUE(contains(refusal(good + "test: test.tsv\n"), ":5: unknown key 'test'"));
  EXPECT_TRUE(contains(refusal("name: MNLI MM\n"), "lower-case letters"));
  EXPECT_TRUE(contains(refusal("name: [a, b]\n"), ":1: 'name' must be a single value"));
  EXPECT_TRUE(contains(refusal("name:\n"), "'name' must be a single value"));
  EXPECT_TRUE(contains(refusal("train: x\n"), "the key 'name' is missing"));
  EXPECT_TRUE(contains(refusal("name: x\ncolumns: {label: 1}\n"), ":2: the key 'columns.sentence1' is missing"));
  EXPECT_TRUE(contains(refusal("name: x\ncolumns: 3\n"), "'columns' must be a map"));
  EXPECT_TRUE(contains(refusal(good + "header: perhaps\n"), "expected yes or no"));
  EXPECT_TRUE(contains(refusal(good + "header: no\n"), "columns.sentence1 is 'text'; without a header row"));
  EXPECT_TRUE(contains(refusal(good + "bad_rows: drop\n"), ":5: bad_rows is 'drop'; expected refuse or skip"));
  EXPECT_TRUE(contains(refusal(good + "format: xls\n"), ":5: unknown format 'xls'; expected tsv, csv or jsonl"));
  EXPECT_TRUE(contains(refusal(good + "format: jsonl\nheader: no\n"), ":6: 'header' is for tsv and csv"));
  EXPECT_TRUE(contains(refusal(good + "labels: [a]\n"), "at least two"));
  EXPECT_TRUE(contains(refusal(good + "labels: [a, b, a]\n"), "'a' is listed twice"));
  EXPECT_TRUE(contains(refusal(good + "labels: [a, \" a\"]\n"), ":5: label 'a' is listed twice"));
  EXPECT_TRUE(contains(refusal(good + "labels: [a, \" \\t\"]\n"), ":5: a label is empty"));
  EXPECT_TRUE(contains(refusal(good + "labels: [a, \"b\\tc\"]\n"), ":5: label 'b?c' has a tab"));
  EXPECT_TRUE(contains(refusal(good + "labels: [a, b]\nrange: [0, 1]\n"), "exclude each other"));
  EXPECT_TRUE(contains(refusal(good + "range: [5, 0]\n"), "the smaller first"));
  EXPECT_TRUE(contains(refusal(good + "range: [0, 5]\nmetric: f1\n"), ":6: metric f1 needs classes"));
  EXPECT_TRUE(contains(refusal(good + "metric: pearson\n"), ":5: metric pearson needs a 'range'"));
  EXPECT_TRUE(contains(refusal(good + "labels: [a, b, c]\nmetric: f1\n"), "needs two labels; the task has 3"));
  EXPECT_TRUE(
      contains(refusal(good + "metric: accurracy\n"), ":5: unknown metric 'accurracy'; did you mean 'accuracy'?"));
}

TEST(TaskFile, RefusesADevFileThatIsTheTrainFile) {
  const std::string columns = "columns: {sentence1: text, label: class}\n";
  EXPECT_TRUE(contains(refusal("name: t\ntrain: train.tsv\ndev: ./train.tsv\n" + columns),
                       "task.yaml:3: 'dev' is the same file as 'train'"));
  const Scratch scratch;
  scratch.write("train.tsv", "");
  std::filesystem::create_symlink("train.tsv", scratch.root() / "dev.tsv");
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { load(scratch, kGood); }), "the same file"));
}

TEST(TaskFile, RefusesAColumnThatIsTextAndLabelOrIsThereTwice) {
  const std::string files = "name: t\ntrain: train.tsv\ndev: dev.tsv\n";
  EXPECT_TRUE(contains(refusal(files + "columns: {sentence1: class, label: class}\n"),
                       "task.yaml:4: columns.sentence1 and columns.label are one column, 'class'"));
  EXPECT_TRUE(contains(refusal(files + "columns: {sentence1: 0, sentence2: 1, label: 1}\n"), "columns.sentence2 and"));
  const Scratch scratch;
  scratch.write("twice.tsv", "text\tclass\ttext\na\tx\tb\n");
  const std::string twice = "name: t\ntrain: twice.tsv\ndev: dev.tsv\ncolumns: {sentence1: text, label: class}\n";
  EXPECT_TRUE(contains(message_of<DataError>([&] { load(scratch, twice); }),
                       "twice.tsv:1: the header has the column 'text' more than once"));
}

TEST(TaskFile, RefusesBrokenYaml) {
  EXPECT_TRUE(contains(refusal("name: [x\n"), "not valid YAML"));
  EXPECT_TRUE(contains(refusal(std::string(kGood) + "---\nname: y\n"), "second document"));
  EXPECT_TRUE(contains(refusal("just words\n"), "expected 'key: value' lines"));
  EXPECT_TRUE(contains(refusal(""), "expected 'key: value' lines"));
}

TEST(TaskFile, RefusesATrainFileWithASingleLabel) {
  const Scratch scratch;
  scratch.write("train.tsv", "class\ttext\na\tx\n");
  const auto file = scratch.write("task.yaml", kGood);
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { load_task_file(file); }), "holds 1 label"));
}

}  // namespace
}  // namespace bertcram::glue
