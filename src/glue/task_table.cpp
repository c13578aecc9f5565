// The built-in tasks: a table of facts. Layout: the official GLUE archives. Label order: Hugging Face's `glue` data set.

#include <utility>

#include "bertcram/glue/task.h"

namespace bertcram::glue {
namespace {

Column by_name(std::string name) { return {.name = std::move(name)}; }
Column by_index(int64_t index) { return {.index = index}; }

/// Header names of a task's columns; an empty text_b marks a single-sentence task.
struct Names {
  std::string text_a;
  std::string text_b;
  std::string label;
};

SourceSpec headed_source(std::string file, const Names& names) {
  SourceSpec source{.file = std::move(file), .text_a = by_name(names.text_a)};
  if (!names.text_b.empty()) {
    source.text_b = by_name(names.text_b);
  }
  if (!names.label.empty()) {
    source.label = by_name(names.label);
  }
  return source;
}

const Names kSuperGlueNames = {"premise", "hypothesis", "label"};

SplitSpec split(std::string reported_name, SourceSpec source) {
  return {.reported_name = std::move(reported_name), .sources = {std::move(source)}};
}

SplitSpec test_split(std::string submission_name, std::string reported_name, std::string file, Names names) {
  const std::string label = std::exchange(names.label, "");
  SplitSpec spec = split(std::move(reported_name), headed_source(std::move(file), names));
  spec.sources[0].absent = label;
  spec.submission_name = std::move(submission_name);
  return spec;
}

/// A task with train.tsv, dev.tsv and test.tsv whose columns have the same names in all three.
TaskSpec usual_task(std::string name, std::string display_name, const Names& names, std::vector<std::string> labels) {
  TaskSpec task{.name = std::move(name), .display_name = std::move(display_name), .labels = std::move(labels)};
  task.train = split(task.name, headed_source("train.tsv", names));
  task.dev = {split(task.name, headed_source("dev.tsv", names))};
  task.test = {test_split(task.display_name, task.name, "test.tsv", names)};
  task.metrics = {Metric::kAccuracy};
  return task;
}

/// Another source for each split of a task of pairs: JSON lines as SuperGLUE has them.
void add_json_lines(TaskSpec& task, const Names& names, const std::vector<std::string>& files) {
  const auto source = [&](const std::string& file, bool is_labelled) {
    SourceSpec spec = headed_source(file, {names.text_a, names.text_b, is_labelled ? names.label : ""});
    spec.format = TableFormat::kJsonLines;
    spec.absent = is_labelled ? "" : names.label;
    return spec;
  };
  size_t next = 0;
  task.train->sources.push_back(source(files[next++], true));
  for (SplitSpec& dev : task.dev) {
    dev.sources.push_back(source(files[next++], true));
  }
  for (SplitSpec& test : task.test) {
    test.sources.push_back(source(files[next++], false));
  }
}

TaskSpec cola() {
  TaskSpec task = usual_task("cola", "CoLA", {"sentence", "", "label"}, {"0", "1"});
  for (SplitSpec* labelled : {&*task.train, &task.dev[0]}) {  // source, label, original mark, sentence; no header
    SourceSpec& source = labelled->sources[0];
    source.header = HeaderRow::kAbsent;
    source.text_a = by_index(3);
    source.label = by_index(1);
  }
  task.metrics = {Metric::kMatthews, Metric::kAccuracy};
  task.primary = PrimaryMetrics::all(Metric::kMatthews);
  return task;
}

/// The Microsoft archive as GLUE's own script turns it into train and dev: dev_ids.tsv lists the pairs of dev.
SourceSpec msr_source(IdFilter::Keep keep) {
  SourceSpec source = headed_source("msr_paraphrase_train.txt", {"#1 String", "#2 String", "Quality"});
  source.id_filter = IdFilter{"dev_ids.tsv", by_name("#1 ID"), by_name("#2 ID"), keep};
  return source;
}

void judge_by_accuracy_and_f1(TaskSpec& task) {
  task.metrics = {Metric::kAccuracy, Metric::kF1, Metric::kAccuracyF1Mean};
  task.primary = {.cramming = Metric::kF1, .mosaic_bert = Metric::kAccuracyF1Mean, .bert_paper = Metric::kF1};
}

TaskSpec mrpc() {
  TaskSpec task = usual_task("mrpc", "MRPC", {"#1 String", "#2 String", "Quality"}, {"0", "1"});
  task.train->sources.push_back(msr_source(IdFilter::Keep::kUnlisted));
  task.dev[0].sources.push_back(msr_source(IdFilter::Keep::kListed));
  task.test[0].sources.push_back(headed_source("msr_paraphrase_test.txt", {"#1 String", "#2 String", ""}));
  judge_by_accuracy_and_f1(task);
  return task;
}

TaskSpec stsb() {
  TaskSpec task = usual_task("stsb", "STS-B", {"sentence1", "sentence2", "score"}, {});
  task.kind = TaskKind::kRegression;
  task.range_high = 5;
  task.metrics = {Metric::kPearson, Metric::kSpearman};
  task.primary = {.cramming = Metric::kPearson, .mosaic_bert = Metric::kSpearman, .bert_paper = Metric::kSpearman};
  return task;
}

TaskSpec qqp() {
  TaskSpec task = usual_task("qqp", "QQP", {"question1", "question2", "is_duplicate"}, {"0", "1"});
  task.bad_rows = BadRows::kSkip;
  judge_by_accuracy_and_f1(task);
  return task;
}

std::vector<std::string> nli_labels() { return {"entailment", "neutral", "contradiction"}; }

TaskSpec mnli() {
  const Names names{"sentence1", "sentence2", "gold_label"};
  TaskSpec task = usual_task("mnli", "MNLI", names, nli_labels());
  task.dev = {split("mnli", headed_source("dev_matched.tsv", names)),
              split("mnli-mm", headed_source("dev_mismatched.tsv", names))};
  task.test = {test_split("MNLI-m", "mnli", "test_matched.tsv", names),
               test_split("MNLI-mm", "mnli-mm", "test_mismatched.tsv", names)};
  add_json_lines(
      task, kSuperGlueNames,
      {"train.jsonl", "dev_matched.jsonl", "dev_mismatched.jsonl", "test_matched.jsonl", "test_mismatched.jsonl"});
  return task;
}

TaskSpec rte() {
  TaskSpec task = usual_task("rte", "RTE", {"sentence1", "sentence2", "label"}, {"entailment", "not_entailment"});
  add_json_lines(task, kSuperGlueNames, {"train.jsonl", "val.jsonl", "test.jsonl"});
  return task;
}

TaskSpec ax() {
  TaskSpec task = usual_task("ax", "AX", {"sentence1", "sentence2", ""}, nli_labels());
  task.folder_aliases = {"diagnostic"};
  task.train.reset();
  task.dev = {split("ax", headed_source("diagnostic-full.tsv", {"Premise", "Hypothesis", "Label"}))};
  task.test[0].sources[0].file = "diagnostic.tsv";
  task.metrics = {Metric::kMatthews, Metric::kAccuracy};
  task.primary = PrimaryMetrics::all(Metric::kMatthews);
  task.scored_with = "mnli";
  return task;
}

}  // namespace

std::span<const TaskSpec> builtin_tasks() {
  static const std::vector<TaskSpec> kTasks = {
      cola(),
      usual_task("sst2", "SST-2", {"sentence", "", "label"}, {"0", "1"}),
      mrpc(),
      stsb(),
      qqp(),
      mnli(),
      usual_task("qnli", "QNLI", {"question", "sentence", "label"}, {"entailment", "not_entailment"}),
      rte(),
      usual_task("wnli", "WNLI", {"sentence1", "sentence2", "label"}, {"0", "1"}),
      ax(),
  };
  return kTasks;
}

}  // namespace bertcram::glue
