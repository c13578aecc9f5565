#include "bertcram/glue/protocol.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::glue {
namespace {

/// The entries of both averages, in GLUE order.
constexpr std::array<std::string_view, 9> kAveraged = {"cola", "sst2",    "mrpc", "stsb", "qqp",
                                                       "mnli", "mnli-mm", "qnli", "rte"};

/// One column of MosaicBERT's table; decay as its source states it, fully decoupled from the learning rate.
struct MosaicRow {
  double learning_rate;
  int64_t batch_examples;
  int64_t epochs;
  double decoupled_decay;
  int64_t seeds;
  const char* start_from = "";
};

FinetuneRecipe mosaic_recipe(const MosaicRow& row) {
  return {.learning_rate = row.learning_rate,
          .batch_examples = row.batch_examples,
          .epochs = row.epochs,
          .schedule = RateSchedule::kLinear,
          .warmup_frac = 0.06,
          .beta1 = 0.9,
          .beta2 = 0.98,
          .epsilon = 1e-6,
          .weight_decay = row.decoupled_decay / row.learning_rate,
          .dropout_prob = 0.1,
          .seq_len = 256,
          .clip_norm = std::nullopt,
          .seeds = row.seeds,
          .start_from = row.start_from};
}

Protocol make_transfer() {
  const MosaicRow qqp{3e-5, 16, 5, 3e-6, 1};
  return {.name = "transfer",
          .summary = "MosaicBERT: settings per task; RTE, MRPC and STS-B start from MNLI; mean over seeds; dev set",
          .metrics = MetricSet::kMosaicBert,
          .statistic = Statistic::kMean,
          .common = mosaic_recipe(qqp),
          .per_task = {
              {"mnli", mosaic_recipe({5e-5, 48, 3, 5e-6, 1})},
              {"qqp", mosaic_recipe(qqp)},
              {"qnli", mosaic_recipe({1e-5, 16, 10, 1e-6, 1})},
              {"sst2", mosaic_recipe({3e-5, 16, 3, 3e-6, 3})},
              {"cola", mosaic_recipe({5e-5, 32, 10, 5e-6, 4})},
              {"rte", mosaic_recipe({1e-5, 16, 3, 1e-5, 5, "mnli"})},
              {"mrpc", mosaic_recipe({8e-5, 32, 10, 8e-6, 5, "mnli"})},
              {"stsb", mosaic_recipe({3e-5, 32, 10, 3e-6, 5, "mnli"})},
          }};
}

double sum_of_nine(const TaskScores& scores) {
  return std::accumulate(kAveraged.begin(), kAveraged.end(), 0.0,
                         [&](double sum, std::string_view name) { return sum + scores.find(name)->second; });
}

}  // namespace

const Protocol& sane_protocol() {
  static const Protocol kSane = {
      .name = "sane",
      .summary = "Cramming's GLUE-sane: one setting for all tasks, from the pretrained model, median of seeds; dev set",
      .statistic = Statistic::kMedian,
      .common = {},
      .per_task = {}};
  return kSane;
}

const Protocol& transfer_protocol() {
  static const Protocol kTransfer = make_transfer();
  return kTransfer;
}

const Protocol& seed_protocol() {
  static const Protocol kSeed = {
      .name = "seed",
      .summary = "as the seed: batch 32, 2e-5, 5 epochs, one run, from the pretrained model; dev set",
      .statistic = Statistic::kMedian,
      .common = {.learning_rate = 2e-5,
                 .batch_examples = 32,
                 .epochs = 5,
                 .schedule = RateSchedule::kLinear,
                 .warmup_frac = 0.0,
                 .beta1 = 0.9,
                 .beta2 = 0.999,
                 .epsilon = 1e-8,
                 .weight_decay = 0.0,
                 .dropout_prob = 0.0,
                 .seq_len = 124,
                 .clip_norm = 1.0,
                 .seeds = 1},
      .per_task = {}};
  return kSeed;
}

const Protocol& search_protocol() {
  static const Protocol kSearch = {
      .name = "search",
      .summary = "best of four learning rates and of 3 epochs, both chosen on the dev set that is reported; dev set",
      .metrics = MetricSet::kBertPaper,
      .statistic = Statistic::kMean,
      .common = {.learning_rate = 5e-5,
                 .batch_examples = 32,
                 .epochs = 3,
                 .keep = Keep::kBestEpoch,
                 .schedule = RateSchedule::kLinear,
                 .warmup_frac = 0.1,
                 .beta1 = 0.9,
                 .beta2 = 0.999,
                 .epsilon = 1e-6,
                 .weight_decay = 0.01,
                 .dropout_prob = 0.1,
                 .seq_len = 128,
                 .clip_norm = 1.0,
                 .seeds = 1,
                 .grid = {5e-5, 4e-5, 3e-5, 2e-5}},
      .per_task = {}};
  return kSearch;
}

std::vector<std::string> protocol_names() { return {"sane", "seed", "transfer", "search"}; }

const Protocol& find_protocol(std::string_view name) {
  for (const Protocol* protocol : {&sane_protocol(), &seed_protocol(), &transfer_protocol(), &search_protocol()}) {
    if (protocol->name == name) {
      return *protocol;
    }
  }
  throw ConfigError(
      cat("unknown protocol '", util::excerpt(name), "'; ", util::nearest_or_known(name, protocol_names())));
}

const FinetuneRecipe& recipe_for(const Protocol& protocol, const TaskSpec& task) {
  const auto found = protocol.per_task.find(task.name);
  return found == protocol.per_task.end() ? protocol.common : found->second;
}

Metric primary_metric(const Protocol& protocol, const TaskSpec& task) { return task.primary.of(protocol.metrics); }

double summarise(Statistic statistic, std::span<const double> values) {
  BC_CHECK(!values.empty());
  if (statistic == Statistic::kMean) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

std::vector<std::string> missing_entries(const TaskScores& scores) {
  std::vector<std::string> missing;
  for (const std::string_view name : kAveraged) {
    if (!scores.contains(name)) {
      missing.emplace_back(name);
    }
  }
  return missing;
}

std::optional<double> average_sane9(const TaskScores& scores) {
  if (!missing_entries(scores).empty()) {
    return std::nullopt;
  }
  return sum_of_nine(scores) / 9;
}

std::optional<double> average_transfer8(const TaskScores& scores) {
  if (!missing_entries(scores).empty()) {
    return std::nullopt;
  }
  const double mnli_both = scores.find("mnli")->second + scores.find("mnli-mm")->second;
  return (sum_of_nine(scores) - mnli_both / 2) / 8;
}

}  // namespace bertcram::glue
