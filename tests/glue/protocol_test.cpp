#include "bertcram/glue/protocol.h"

#include <gtest/gtest.h>

#include "bertcram/glue/published.h"
#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;

/// A published row: mnli, mnli-mm, sst2, stsb, rte, qnli, qqp, mrpc, cola.
TaskScores row(double mnli, double mnli_mm, double sst2, double stsb, double rte, double qnli, double qqp, double mrpc,
               double cola) {
  return {{"mnli", mnli}, {"mnli-mm", mnli_mm}, {"sst2", sst2}, {"stsb", stsb}, {"rte", rte},
          {"qnli", qnli}, {"qqp", qqp},         {"mrpc", mrpc}, {"cola", cola}};
}

TEST(Protocol, SaneIsOneSettingForAllTasks) {
  const Protocol& sane = find_protocol("sane");
  EXPECT_EQ(sane.statistic, Statistic::kMedian);
  for (const TaskSpec& task : builtin_tasks()) {
    const FinetuneRecipe& recipe = recipe_for(sane, task);
    EXPECT_EQ(recipe.learning_rate, 4e-5);
    EXPECT_EQ(recipe.batch_examples, 16);
    EXPECT_EQ(recipe.epochs, 5);
    EXPECT_EQ(recipe.schedule, RateSchedule::kCosine);
    EXPECT_EQ(recipe.warmup_frac, 0.1);
    EXPECT_EQ(recipe.beta1, 0.9);
    EXPECT_EQ(recipe.beta2, 0.98);
    EXPECT_EQ(recipe.epsilon, 1e-6);
    EXPECT_EQ(recipe.weight_decay, 0.0);
    EXPECT_EQ(recipe.dropout_prob, 0.1);
    EXPECT_EQ(recipe.seq_len, 128);
    EXPECT_EQ(recipe.clip_norm, std::nullopt);
    EXPECT_EQ(recipe.seeds, 5);
    EXPECT_EQ(recipe.start_from, "");
  }
}

TEST(Protocol, TransferHasMosaicBertsTable) {
  const Protocol& transfer = find_protocol("transfer");
  EXPECT_EQ(transfer.statistic, Statistic::kMean);
  struct Expected {
    const char* task;
    double learning_rate;
    int64_t batch, epochs;
    double decoupled_decay;
    const char* start;
  };
  for (const Expected& expected :
       {Expected{"mnli", 5e-5, 48, 3, 5e-6, ""}, Expected{"qqp", 3e-5, 16, 5, 3e-6, ""},
        Expected{"qnli", 1e-5, 16, 10, 1e-6, ""}, Expected{"sst2", 3e-5, 16, 3, 3e-6, ""},
        Expected{"cola", 5e-5, 32, 10, 5e-6, ""}, Expected{"rte", 1e-5, 16, 3, 1e-5, "mnli"},
        Expected{"mrpc", 8e-5, 32, 10, 8e-6, "mnli"}, Expected{"stsb", 3e-5, 32, 10, 3e-6, "mnli"}}) {
    const FinetuneRecipe& recipe = recipe_for(transfer, find_task(expected.task));
    EXPECT_EQ(recipe.learning_rate, expected.learning_rate) << expected.task;
    EXPECT_EQ(recipe.batch_examples, expected.batch) << expected.task;
    EXPECT_EQ(recipe.epochs, expected.epochs) << expected.task;
    EXPECT_NEAR(recipe.weight_decay * recipe.learning_rate, expected.decoupled_decay, 1e-15) << expected.task;
    EXPECT_EQ(recipe.start_from, expected.start) << expected.task;
    EXPECT_EQ(recipe.schedule, RateSchedule::kLinear);
    EXPECT_EQ(recipe.warmup_frac, 0.06);
    EXPECT_EQ(recipe.seq_len, 256);
  }
  EXPECT_EQ(recipe_for(transfer, find_task("cola")).seeds, 4);
  EXPECT_EQ(recipe_for(transfer, find_task("sst2")).seeds, 3);
  EXPECT_EQ(recipe_for(transfer, find_task("rte")).seeds, 5);
}

TEST(Protocol, SeedIsHuggingFacesScriptAsTheSeedRanIt) {
  const Protocol& seed = find_protocol("seed");
  EXPECT_EQ(seed.statistic, Statistic::kMedian);
  EXPECT_TRUE(seed.per_task.empty());
  const FinetuneRecipe& recipe = recipe_for(seed, find_task("cola"));
  EXPECT_EQ(recipe.learning_rate, 2e-5);
  EXPECT_EQ(recipe.batch_examples, 32);
  EXPECT_EQ(recipe.epochs, 5);
  EXPECT_EQ(recipe.schedule, RateSchedule::kLinear);
  EXPECT_EQ(recipe.warmup_frac, 0);
  EXPECT_EQ(recipe.beta2, 0.999);
  EXPECT_EQ(recipe.epsilon, 1e-8);
  EXPECT_EQ(recipe.weight_decay, 0);
  EXPECT_EQ(recipe.clip_norm, 1.0);
  EXPECT_EQ(recipe.seq_len, 124);
  EXPECT_EQ(recipe.dropout_prob, 0);
  EXPECT_EQ(recipe.seeds, 1);
  EXPECT_EQ(recipe.keep, Keep::kLastEpoch);
}

TEST(Protocol, SearchTriesBertsFourRatesAndKeepsTheBestEpoch) {
  const FinetuneRecipe& recipe = recipe_for(find_protocol("search"), find_task("rte"));
  EXPECT_EQ(recipe.grid, (std::vector<double>{5e-5, 4e-5, 3e-5, 2e-5}));
  EXPECT_EQ(recipe.batch_examples, 32);
  EXPECT_EQ(recipe.epochs, 3);
  EXPECT_EQ(recipe.warmup_frac, 0.1);
  EXPECT_EQ(recipe.weight_decay, 0.01);
  EXPECT_EQ(recipe.keep, Keep::kBestEpoch);
  for (const char* other : {"sane", "seed", "transfer"}) {
    EXPECT_TRUE(recipe_for(find_protocol(other), find_task("rte")).grid.empty());
    EXPECT_EQ(recipe_for(find_protocol(other), find_task("rte")).keep, Keep::kLastEpoch);
  }
}

TEST(Protocol, ThePrimaryMetricDependsOnTheProtocol) {
  EXPECT_EQ(primary_metric(sane_protocol(), find_task("mrpc")), Metric::kF1);
  EXPECT_EQ(primary_metric(transfer_protocol(), find_task("mrpc")), Metric::kAccuracyF1Mean);
  EXPECT_EQ(primary_metric(search_protocol(), find_task("stsb")), Metric::kSpearman);
  EXPECT_EQ(primary_metric(seed_protocol(), find_task("stsb")), Metric::kPearson);
}

TEST(Protocol, AMisspeltNameIsCorrected) {
  EXPECT_TRUE(contains(message_of<ConfigError>([] { find_protocol("sain"); }), "did you mean 'sane'?"));
}

TEST(Protocol, TheMedianOfAnEvenNumberIsTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(summarise(Statistic::kMedian, std::vector<double>{9, 1, 5}), 5);
  EXPECT_EQ(summarise(Statistic::kMedian, std::vector<double>{9, 1, 5, 2}), 3.5);
  EXPECT_EQ(summarise(Statistic::kMean, std::vector<double>{9, 1, 5}), 5);
}

// Rows and averages of shared/reference/anchors.md §2.1.
TEST(Averages, ReproduceThePublishedOnes) {
  const TaskScores cramming_v2 = row(84.1, 84.6, 92.0, 87.4, 58.5, 90.2, 87.5, 88.9, 53.3);
  EXPECT_NEAR(average_sane9(cramming_v2).value(), 80.72, 0.005);
  EXPECT_NEAR(average_transfer8(cramming_v2).value(), 80.27, 0.005);
  const TaskScores seed = row(79.3, 80.1, 89.1, 61.9, 55.9, 86.3, 86.4, 74.8, 41.0);
  EXPECT_NEAR(average_sane9(seed).value(), 72.7, 0.06);
  EXPECT_NEAR(average_transfer8(seed).value(), 71.9, 0.06);
  const TaskScores bert_base = row(83.2, 83.4, 91.9, 86.7, 59.2, 90.6, 87.7, 89.3, 56.5);
  EXPECT_NEAR(average_sane9(bert_base).value(), 80.9, 0.06);
  const TaskScores mosaic_bert = row(84.95, 84.95, 92.46, 89.27, 81.36, 90.74, 90.29, 90.03, 55.11);
  EXPECT_NEAR(average_transfer8(mosaic_bert).value(), 84.28, 0.005);
  const TaskScores masked_15 = row(84.30, 84.71, 92.91, 89.38, 76.65, 90.38, 88.31, 91.94, 55.89);
  EXPECT_NEAR(average_sane9(masked_15).value(), 83.83, 0.005);
  EXPECT_NEAR(average_transfer8(masked_15).value(), 83.75, 0.005);
}

TEST(Averages, OfThePublishedRowsAreThePublishedOnes) {
  for (const PublishedRow& row : published_rows()) {
    const auto average = row.is_nine ? average_sane9(row.scores) : average_transfer8(row.scores);
    EXPECT_NEAR(average.value(), row.average, 0.06) << row.name;  // rounded twice
    EXPECT_NO_THROW(find_protocol(row.protocol)) << row.name;
  }
}

TEST(Averages, NeedEveryEntryAndIgnoreOthers) {
  TaskScores scores = row(84.1, 84.6, 92.0, 87.4, 58.5, 90.2, 87.5, 88.9, 53.3);
  const auto nine = average_sane9(scores);
  scores["wnli"] = 10;
  scores["my-own"] = 10;
  EXPECT_EQ(average_sane9(scores), nine);
  for (const char* name : {"cola", "mnli-mm", "rte"}) {
    TaskScores fewer = scores;
    fewer.erase(name);
    EXPECT_EQ(average_sane9(fewer), std::nullopt) << name;
    EXPECT_EQ(average_transfer8(fewer), std::nullopt) << name;
    EXPECT_EQ(missing_entries(fewer), std::vector<std::string>{name});
  }
}

}  // namespace
}  // namespace bertcram::glue
