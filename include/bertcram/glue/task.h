#pragma once
// What a task is: its files and columns, its labels, its metrics. The nine GLUE tasks and the AX diagnostic set are
// built in; task_file.h reads a user's own.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/glue/metrics.h"

namespace bertcram::glue {

enum class TaskKind { kClassification, kRegression };

enum class TableFormat {
  kTsv,        ///< fields between tabs, quotes literal
  kCsv,        ///< RFC 4180: quoted fields may hold commas, quotes ("") and line ends
  kJsonLines,  ///< one object per line; columns are its members
};

/// A column, by header name or, where `name` is empty, by 0-based index (not in JSON lines).
struct Column {
  std::string name = {};
  int64_t index = 0;
};

enum class HeaderRow { kPresent, kAbsent };

/// What happens to a row with a wrong number of columns or an empty text. Everything else is always refused.
enum class BadRows {
  kRefuse,
  kSkip,  ///< dropped and counted: QQP, whose official train and dev files have a few broken lines, and on demand
};

/// Keeps the rows whose pair of ids is listed (or is not listed) in a second file of id pairs.
struct IdFilter {
  enum class Keep { kListed, kUnlisted };
  std::string id_file = {};  ///< TSV without header, two columns, in the folder of the task
  Column first_id = {};
  Column second_id = {};
  Keep keep = Keep::kListed;
};

/// One file that can provide a split.
struct SourceSpec {
  std::string file = {};  ///< built-in: name within the task's folder; user-defined: a path
  TableFormat format = TableFormat::kTsv;
  HeaderRow header = HeaderRow::kPresent;
  Column text_a = {};
  std::optional<Column> text_b = {};  ///< nullopt: single-sentence task
  std::optional<Column> label = {};   ///< nullopt: the split is unlabelled
  std::string absent = {};            ///< a column that must not be there: the labels, in an official test set
  std::optional<IdFilter> id_filter = {};
};

/// One part of a task's data.
struct SplitSpec {
  std::string reported_name = {};        ///< key in results.json: the task's name, or "mnli-mm"
  std::string submission_name = {};      ///< test splits: file stem in the GLUE submission zip, e.g. "MNLI-mm"
  std::vector<SourceSpec> sources = {};  ///< the first one whose file exists is read
};

/// Who says which metric of a task counts (shared/reference/anchors.md §1 has the table).
enum class MetricSet {
  kCramming,    ///< MRPC and QQP by F1, STS-B by Pearson
  kMosaicBert,  ///< MRPC and QQP by the mean of accuracy and F1, STS-B by Spearman
  kBertPaper,   ///< MRPC and QQP by F1, STS-B by Spearman
};

/// The metric of a task that counts in each of the sets.
struct PrimaryMetrics {
  Metric cramming = Metric::kAccuracy;
  Metric mosaic_bert = Metric::kAccuracy;
  Metric bert_paper = Metric::kAccuracy;

  static PrimaryMetrics all(Metric metric) { return {metric, metric, metric}; }
  Metric of(MetricSet set) const {
    return set == MetricSet::kCramming ? cramming : set == MetricSet::kMosaicBert ? mosaic_bert : bert_paper;
  }
};

struct TaskSpec {
  std::string name = {};                         ///< lower case: "sst2"
  std::string display_name = {};                 ///< as GLUE writes it, also its folder: "SST-2"
  std::vector<std::string> folder_aliases = {};  ///< other folder names in use
  TaskKind kind = TaskKind::kClassification;
  std::vector<std::string> labels = {};  ///< label words in id order (Hugging Face's); empty for regression
  double range_low = 0;                  ///< regression: smallest and largest valid score
  double range_high = 0;
  BadRows bad_rows = BadRows::kRefuse;
  std::optional<SplitSpec> train = {};  ///< nullopt: only for scoring (AX)
  std::vector<SplitSpec> dev = {};      ///< MNLI has two, the others one
  std::vector<SplitSpec> test = {};
  std::vector<Metric> metrics = {};     ///< all that are computed
  PrimaryMetrics primary = {};          ///< the ones that count
  std::string scored_with = {};         ///< task whose fine-tuned model scores this one; empty: its own
  std::filesystem::path base_dir = {};  ///< user-defined: folder of the task file; empty for built-in tasks
  bool has_collected_labels = false;    ///< user-defined: the labels are those that the train file happens to hold

  /// Outputs of the task's head: number of labels, 1 for regression.
  int64_t classes() const { return kind == TaskKind::kRegression ? 1 : static_cast<int64_t>(labels.size()); }
};

/// cola sst2 mrpc stsb qqp mnli qnli rte wnli ax, in the order GLUE lists them.
std::span<const TaskSpec> builtin_tasks();

/// A built-in task by name; case and '-' do not matter ("SST-2").
/// @throws ConfigError that names the nearest task
const TaskSpec& find_task(std::string_view name);

/// "mnli,rte" or "all" → names of tasks to fine-tune, in the order given, each once. "all" is the nine GLUE tasks.
/// @throws ConfigError for an empty list, an unknown task, or one that cannot be trained (ax)
std::vector<std::string> expand_task_list(std::string_view list);

/// The order in which results are shown: cola sst2 mrpc stsb qqp mnli mnli-mm qnli rte wnli ax.
const std::vector<std::string>& reported_order();

/// Lower case without '-' and '_': the form in which task and folder names are compared.
std::string normalised_name(std::string_view name);

/// Everything about the task that changes its scores but the data itself: for telling whether results belong together.
std::string scoring_rules(const TaskSpec& task);

/// How scores are learnt: as (score - low) / unit, so that those of any range move as STS-B's 0 to 5 do.
struct ScoreUnit {
  double low = 0;
  double unit = 1;
  bool is_one() const { return low == 0 && unit == 1; }
};

ScoreUnit score_unit(const TaskSpec& task);  ///< of classes: none

/// "entailment, not_entailment": the labels for messages, cut after a dozen.
std::string label_list(const TaskSpec& task);

}  // namespace bertcram::glue
