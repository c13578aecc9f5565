#pragma once
// Named fine-tuning protocols. A GLUE average means nothing without one: the same size of model gets RTE 54-59 under
// `sane` and 76-83 under `transfer`. A protocol is data; train runs it.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bertcram/glue/task.h"

namespace bertcram::glue {

enum class Statistic { kMedian, kMean };
/// Whose weights a run is scored with.
enum class Keep {
  kLastEpoch,
  kBestEpoch,  ///< of all, by the primary metric on the dev set: the score is the best of several looks at it
};
enum class RateSchedule { kCosine, kLinear };  ///< after linear warmup, to zero at the last step

/// Everything that decides one fine-tuning run. Defaults are those of protocol sane.
struct FinetuneRecipe {
  double learning_rate = 4e-5;  ///< peak
  int64_t batch_examples = 16;
  int64_t epochs = 5;
  Keep keep = Keep::kLastEpoch;
  RateSchedule schedule = RateSchedule::kCosine;
  double warmup_frac = 0.1;  ///< of all steps
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-6;
  double weight_decay = 0.0;  ///< AdamW: the decay of a step is learning rate times this
  double dropout_prob = 0.1;
  int64_t seq_len = 128;                 ///< tokens, special ones included
  std::optional<double> clip_norm = {};  ///< largest gradient norm; nullopt: no clipping
  int64_t seeds = 5;                     ///< independent runs
  std::string start_from = {};           ///< task whose fine-tuned encoder is the start; empty: the pretrained model
  /// Peak rates that are all tried, each with the same number of epochs, in place of learning_rate; the one with the best
  /// mean over seeds counts. Empty: no search.
  std::vector<double> grid = {};
};

struct Protocol {
  std::string name = {};
  std::string summary = {};  ///< one line for the head of a table
  MetricSet metrics = MetricSet::kCramming;
  Statistic statistic = Statistic::kMedian;  ///< over seeds
  FinetuneRecipe common;                     ///< tasks not listed below, user-defined ones among them
  std::map<std::string, FinetuneRecipe> per_task = {};
};

/// Cramming's "GLUE-sane": one set of hyper-parameters for all tasks, each from the pretrained model, median of 5.
/// Source: JonasGeiping/cramming 196c991, config/eval.
const Protocol& sane_protocol();

/// MosaicBERT's: settings per task, RTE, MRPC and STS-B start from the MNLI-fine-tuned model, mean over seeds.
/// Source: mosaicml/examples daddaeff, benchmarks/bert/src/glue/finetuning_jobs.py. Its decay is fully decoupled (not
/// multiplied by the learning rate); stated here as the equal AdamW value, decay / peak rate.
/// The source states no seed count for MNLI, QQP and QNLI: 1 here. WNLI and user-defined tasks, which it lacks, use its
/// QQP settings.
const Protocol& transfer_protocol();

/// The seed's (sradc/pretraining-BERT 34ea492, run_finetuning.sh, which is Hugging Face's run_glue.py): batch 32, 2e-5, 5
/// epochs, linear decay without warm-up, one run; no dropout, as its model's configuration has none. Its post does not say
/// by which metrics; those of `sane` here. "Different parameters for two of the tasks" are not published.
const Protocol& seed_protocol();

/// Best of a grid on the dev set, as BERT's authors chose among 5e-5, 4e-5, 3e-5 and 2e-5 (batch 32, 3 epochs; Devlin et
/// al. 2019, §4.1) with the settings of their run_classifier.py, and, as NeoBERT and ModernBERT do, the best epoch of
/// each run. An optimistic number: not comparable with the protocols that look once.
const Protocol& search_protocol();

/// All names that find_protocol takes.
std::vector<std::string> protocol_names();

/// A protocol by name. @throws ConfigError that names the nearest
const Protocol& find_protocol(std::string_view name);

const FinetuneRecipe& recipe_for(const Protocol& protocol, const TaskSpec& task);

/// The metric that counts for the task under the protocol.
Metric primary_metric(const Protocol& protocol, const TaskSpec& task);

/// The median or mean of the values; the median of an even number is the mean of the middle two. values: not empty.
double summarise(Statistic statistic, std::span<const double> values);

/// Reported name ("mnli-mm") → score of the task's primary metric, 0..100.
using TaskScores = std::map<std::string, double, std::less<>>;

/// Mean of nine numbers: cola sst2 mrpc stsb qqp mnli mnli-mm qnli rte, each once (no WNLI): how Cramming averages.
/// nullopt unless all nine are there.
std::optional<double> average_sane9(const TaskScores& scores);

/// Mean of eight tasks, MNLI counting as the mean of mnli and mnli-mm (no WNLI): how MosaicBERT averages.
/// nullopt unless all nine entries are there.
std::optional<double> average_transfer8(const TaskScores& scores);

/// The entries that both averages need and `scores` lacks, in GLUE order.
std::vector<std::string> missing_entries(const TaskScores& scores);

}  // namespace bertcram::glue
