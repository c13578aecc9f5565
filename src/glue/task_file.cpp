#include "bertcram/glue/task_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <span>
#include <system_error>
#include <utility>

#include "bertcram/config/yaml_document.h"
#include "bertcram/glue/reader.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/text.h"
#include "split_files.h"

namespace bertcram::glue {
namespace {

bool has_positive_class(Metric metric) { return metric == Metric::kF1 || metric == Metric::kAccuracyF1Mean; }

class TaskFile {
 public:
  TaskFile(std::filesystem::path path, const YAML::Node& root) : path_(std::move(path)), root_(root) {}

  TaskSpec read(const std::filesystem::path& data_dir);

 private:
  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& problem) const {
    throw ConfigError(cat(path_.string(), ":", mark.line + 1, ": ", problem));
  }

  void check_keys(const YAML::Node& map, const std::string& prefix, std::span<const std::string> known) const;
  std::string scalar(const YAML::Node& node, const std::string& key) const;
  YAML::Node required(const std::string& key) const;
  std::string read_name() const;
  TableFormat read_format() const;
  HeaderRow read_header(TableFormat format) const;
  BadRows read_bad_rows() const;
  Column read_column(const YAML::Node& node, const std::string& key, const SourceSpec& source) const;
  SourceSpec read_source_columns() const;
  std::vector<std::string> read_labels() const;
  void read_range(TaskSpec& task) const;
  std::vector<Metric> read_metrics(const TaskSpec& task) const;
  SplitSpec split(const TaskSpec& task, const std::string& key, SourceSpec source) const;
  void check_metric_fits(const TaskSpec& task) const;
  void check_files_differ(const TaskSpec& task, const std::filesystem::path& data_dir) const;

  std::filesystem::path path_;
  YAML::Node root_;
};

void TaskFile::check_keys(const YAML::Node& map, const std::string& prefix, std::span<const std::string> known) const {
  if (!map.IsMap()) {
    fail(map.Mark(), prefix.empty() ? std::string("expected 'key: value' lines")
                                    : cat("'", prefix, "' must be a map such as {sentence1: 0, label: 1}"));
  }
  const std::string shown = prefix.empty() ? prefix : prefix + ".";
  std::set<std::string> seen;
  for (const auto& entry : map) {
    const std::string key = scalar(entry.first, "a key");
    if (std::ranges::find(known, key) == known.end()) {
      fail(entry.first.Mark(),
           cat("unknown key '", shown, util::excerpt(key), "'; ", util::nearest_or_known(key, known, shown)));
    }
    if (!seen.insert(key).second) {
      fail(entry.first.Mark(), cat("duplicate key '", shown, key, "'"));
    }
  }
}

std::string TaskFile::scalar(const YAML::Node& node, const std::string& key) const {
  if (!node.IsScalar() || node.Scalar().empty()) {
    fail(node.Mark(), cat("'", key, "' must be a single value"));
  }
  return node.Scalar();
}

YAML::Node TaskFile::required(const std::string& key) const {
  const YAML::Node node = root_[key];
  if (!node) {
    fail(root_.Mark(), cat("the key '", key, "' is missing"));
  }
  return node;
}

std::string TaskFile::read_name() const {
  const YAML::Node node = required("name");
  std::string name = scalar(node, "name");
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != std::string::npos) {
    fail(node.Mark(), cat("name '", util::excerpt(name), "' may hold lower-case letters, digits, '-' and '_' only"));
  }
  std::vector<std::string> taken = reported_order();
  taken.emplace_back("all");
  taken.emplace_back("test");  // the folder of answers for GLUE's test sets
  for (const std::string& other : taken) {
    if (normalised_name(name) == normalised_name(other)) {
      fail(node.Mark(), cat("name '", name, "' belongs to GLUE; choose another"));
    }
  }
  if (name.find("-seed") != std::string::npos) {
    fail(node.Mark(), cat("name '", name, "' has '-seed' in it, as the folders of runs have; choose another"));
  }
  return name;
}

/// As stated, or by the suffix of the train file.
TableFormat TaskFile::read_format() const {
  const YAML::Node node = root_["format"];
  const std::string word = util::to_lower_ascii(
      node ? scalar(node, "format") : std::filesystem::path(scalar(required("train"), "train")).extension().string());
  if (word == "csv" || word == ".csv") {
    return TableFormat::kCsv;
  }
  if (word == "jsonl" || word == ".jsonl" || word == ".ndjson") {
    return TableFormat::kJsonLines;
  }
  if (node && word != "tsv") {
    fail(node.Mark(), cat("unknown format '", util::excerpt(word), "'; expected tsv, csv or jsonl"));
  }
  return TableFormat::kTsv;
}

HeaderRow TaskFile::read_header(TableFormat format) const {
  const YAML::Node node = root_["header"];
  if (!node) {
    return HeaderRow::kPresent;
  }
  if (format == TableFormat::kJsonLines) {
    fail(node.Mark(), "'header' is for tsv and csv; in jsonl the columns are the members of each line");
  }
  const std::string word = scalar(node, "header");
  const auto is_present = util::parse_bool(word);
  if (!is_present) {
    fail(node.Mark(), cat("header is '", util::excerpt(word), "'; expected yes or no"));
  }
  return *is_present ? HeaderRow::kPresent : HeaderRow::kAbsent;
}

BadRows TaskFile::read_bad_rows() const {
  const YAML::Node node = root_["bad_rows"];
  if (!node) {
    return BadRows::kRefuse;
  }
  const std::string word = scalar(node, "bad_rows");
  if (word != "refuse" && word != "skip") {
    fail(node.Mark(), cat("bad_rows is '", util::excerpt(word), "'; expected refuse or skip"));
  }
  return word == "skip" ? BadRows::kSkip : BadRows::kRefuse;
}

Column TaskFile::read_column(const YAML::Node& node, const std::string& key, const SourceSpec& source) const {
  const std::string word = scalar(node, "columns." + key);
  if (source.format == TableFormat::kJsonLines) {
    return {.name = word};
  }
  const auto index = util::parse_int(word);
  if (index && *index >= 0) {
    return {.index = *index};
  }
  if (source.header == HeaderRow::kAbsent) {
    fail(node.Mark(), cat("columns.", key, " is '", util::excerpt(word),
                          "'; without a header row expected a column number, counted from 0"));
  }
  return {.name = word};
}

SourceSpec TaskFile::read_source_columns() const {
  const YAML::Node columns = required("columns");
  const std::vector<std::string> known = {"sentence1", "sentence2", "label"};
  check_keys(columns, "columns", known);
  for (const char* key : {"sentence1", "label"}) {
    if (!columns[key]) {
      fail(columns.Mark(), cat("the key 'columns.", key, "' is missing"));
    }
  }
  for (const char* key : {"sentence1", "sentence2"}) {
    if (columns[key] && scalar(columns[key], key) == scalar(columns["label"], "label")) {
      fail(columns[key].Mark(), cat("columns.", key, " and columns.label are one column, '",
                                    util::excerpt(columns[key].Scalar()), "'; a text that is its label is no task"));
    }
  }
  SourceSpec source{.format = read_format()};
  source.header = read_header(source.format);
  source.text_a = read_column(columns["sentence1"], "sentence1", source);
  source.label = read_column(columns["label"], "label", source);
  if (columns["sentence2"]) {
    source.text_b = read_column(columns["sentence2"], "sentence2", source);
  }
  return source;
}

std::vector<std::string> TaskFile::read_labels() const {
  const YAML::Node node = root_["labels"];
  if (!node.IsSequence() || node.size() < 2) {
    fail(node.Mark(), "'labels' must be a list of at least two words, such as [negative, positive]");
  }
  std::vector<std::string> labels;
  for (const auto& item : node) {
    labels.emplace_back(util::trim(scalar(item, "labels")));  // as those of the rows
    if (labels.back().empty()) {
      fail(item.Mark(), "a label is empty");
    }
    if (labels.back().find_first_of("\t\r\n") != std::string::npos) {
      fail(item.Mark(), cat("label '", util::excerpt(labels.back()), "' has a tab or a line break in it"));
    }
    if (std::ranges::count(labels, labels.back()) > 1) {
      fail(item.Mark(), cat("label '", util::excerpt(labels.back()), "' is listed twice"));
    }
  }
  return labels;
}

void TaskFile::read_range(TaskSpec& task) const {
  const YAML::Node node = root_["range"];
  if (root_["labels"]) {
    fail(node.Mark(), "'range' (regression) and 'labels' (classification) exclude each other");
  }
  if (!node.IsSequence() || node.size() != 2) {
    fail(node.Mark(), "'range' must be two numbers, such as [0, 5]");
  }
  const auto low = util::parse_double(scalar(node[0], "range"));
  const auto high = util::parse_double(scalar(node[1], "range"));
  if (!low || !high || *low >= *high) {
    fail(node.Mark(), "'range' must be two numbers, the smaller first, such as [0, 5]");
  }
  task.kind = TaskKind::kRegression;
  task.range_low = *low;
  task.range_high = *high;
}

std::vector<Metric> TaskFile::read_metrics(const TaskSpec& task) const {
  const YAML::Node node = root_["metric"];
  if (!node) {
    return task.kind == TaskKind::kRegression ? std::vector{Metric::kPearson, Metric::kSpearman}
                                              : std::vector{Metric::kAccuracy};
  }
  const std::vector<YAML::Node> items =
      node.IsSequence() ? std::vector<YAML::Node>(node.begin(), node.end()) : std::vector<YAML::Node>{node};
  std::vector<Metric> metrics;
  for (const YAML::Node& item : items) {
    try {
      metrics.push_back(parse_metric(scalar(item, "metric")));
    } catch (const ConfigError& error) {
      fail(item.Mark(), error.what());
    }
  }
  if (metrics.empty()) {
    fail(node.Mark(), "'metric' names no metric");
  }
  return metrics;
}

void TaskFile::check_metric_fits(const TaskSpec& task) const {
  const YAML::Mark mark = root_["metric"] ? root_["metric"].Mark() : root_.Mark();
  for (const Metric metric : task.metrics) {
    const bool correlates = metric == Metric::kPearson || metric == Metric::kSpearman;
    if (correlates != (task.kind == TaskKind::kRegression)) {
      fail(mark,
           cat("metric ", metric_name(metric),
               correlates ? " needs a 'range' (regression)" : " needs classes, but 'range' makes this a regression"));
    }
    if (has_positive_class(metric) && task.labels.size() != 2) {
      fail(mark, cat("metric ", metric_name(metric), " needs two labels; the task has ", task.labels.size()));
    }
  }
}

SplitSpec TaskFile::split(const TaskSpec& task, const std::string& key, SourceSpec source) const {
  source.file = scalar(required(key), key);
  return {.reported_name = task.name, .sources = {std::move(source)}};
}

void TaskFile::check_files_differ(const TaskSpec& task, const std::filesystem::path& data_dir) const {
  const auto train = find_source(task, *task.train, data_dir);
  const auto dev = find_source(task, task.dev.front(), data_dir);
  std::error_code ignored;
  if (train && dev && std::filesystem::equivalent(train->path, dev->path, ignored)) {
    fail(root_["dev"].Mark(), "'dev' is the same file as 'train'; scores need examples that were not trained on");
  }
}

TaskSpec TaskFile::read(const std::filesystem::path& data_dir) {
  const std::vector<std::string> known = {"name",    "train",  "dev",   "format", "header",
                                          "columns", "labels", "range", "metric", "bad_rows"};
  check_keys(root_, "", known);
  TaskSpec task{.name = read_name()};
  task.display_name = task.name;
  task.base_dir = path_.parent_path().empty() ? std::filesystem::path(".") : path_.parent_path();
  task.bad_rows = read_bad_rows();
  const SourceSpec source = read_source_columns();
  task.train = split(task, "train", source);
  task.dev = {split(task, "dev", source)};
  check_files_differ(task, data_dir);
  if (root_["range"]) {
    read_range(task);
  } else {
    task.has_collected_labels = !root_["labels"];
    task.labels = task.has_collected_labels ? collect_labels(task, *task.train, data_dir) : read_labels();
  }
  if (task.kind == TaskKind::kClassification && task.labels.size() < 2) {
    fail(root_.Mark(), cat("the train file holds ", task.labels.size(), " label; a task needs at least two"));
  }
  task.metrics = read_metrics(task);
  task.primary = PrimaryMetrics::all(task.metrics.front());
  check_metric_fits(task);
  return task;
}

/// Numbers of which not all are whole, as classes seldom are.
bool look_like_scores(const std::vector<std::string>& labels) {
  const auto is_number = [](const std::string& word) { return util::parse_double(word).has_value(); };
  const auto is_whole = [](const std::string& word) { return util::parse_int(word).has_value(); };
  return std::ranges::all_of(labels, is_number) && !std::ranges::all_of(labels, is_whole);
}

}  // namespace

TaskNotes notes_on(const TaskSpec& task) {
  TaskNotes notes;
  if (task.has_collected_labels) {
    notes.facts.push_back(cat(task.name, ": ", task.labels.size(),
                              " labels, collected from train: ", util::excerpt(label_list(task), 200)));
    if (look_like_scores(task.labels)) {
      notes.warnings.push_back(cat(task.name,
                                   ": the labels are numbers with decimals, and each is a class of its own; ",
                                   "did you mean 'range: [low, high]'?"));
    }
  }
  if (!task.base_dir.empty() && std::ranges::any_of(task.metrics, has_positive_class)) {
    notes.facts.push_back(cat(task.name, ": f1 is that of '", task.labels[1], "'"));
  }
  return notes;
}

TaskSpec load_task_file(const std::filesystem::path& path, const std::filesystem::path& data_dir) {
  std::vector<std::string> problems;
  const auto root = config::read_yaml_document(util::read_file(path), path.string(), problems);
  if (!problems.empty()) {
    throw ConfigError(problems.front());
  }
  if (!root || !root->IsMap()) {
    throw ConfigError(cat(path.string(), ":1: expected 'key: value' lines (name, train, dev, columns, …)"));
  }
  return TaskFile(path, *root).read(data_dir);
}

}  // namespace bertcram::glue
