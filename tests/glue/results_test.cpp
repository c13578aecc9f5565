#include "bertcram/glue/results.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "bertcram/util/file.h"
#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;
using testing::Scratch;

TaskResult accuracies(const std::vector<double>& values) {
  std::vector<SeedResult> seeds;
  for (const double value : values) {
    seeds.push_back({.seed = static_cast<int64_t>(seeds.size()), .metrics = {{"accuracy", value}}, .seconds = 1.5});
  }
  return summarise_seeds(Metric::kAccuracy, std::move(seeds));
}

/// Every entry of the averages; scores 10, 20, …, 90 in GLUE order.
GlueResults full_run() {
  GlueResults results{.protocol = "sane"};
  double score = 0;
  for (const char* name : {"cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "mnli-mm", "qnli", "rte"}) {
    score += 10;
    results.tasks[name] = accuracies({score});
  }
  return results;
}

TEST(Results, SummariseSeedsByHand) {
  const TaskResult task = accuracies({50, 53, 62, 55});
  EXPECT_EQ(task.metric, "accuracy");
  EXPECT_DOUBLE_EQ(task.median, 54);
  EXPECT_DOUBLE_EQ(task.mean, 55);
  EXPECT_DOUBLE_EQ(task.sd, std::sqrt((25 + 4 + 49 + 0) / 3.0));
  EXPECT_EQ(accuracies({50}).sd, 0);
}

TEST(Results, ASeedWithoutThePrimaryMetricIsOurMistake) {
  EXPECT_THROW(summarise_seeds(Metric::kF1, {{.seed = 1, .metrics = {{"accuracy", 1}}}}), InternalError);
  EXPECT_THROW(summarise_seeds(Metric::kF1, {}), InternalError);
}

TEST(Results, TheProtocolDecidesWhichStatisticIsAveraged) {
  GlueResults results = full_run();
  results.tasks["rte"] = accuracies({90, 90, 0});
  EXPECT_DOUBLE_EQ(compute_averages(results).sane9.value(), 50);
  EXPECT_DOUBLE_EQ(compute_averages(results).transfer8.value(), (450 - 130 + 65) / 8.0);
  results.protocol = "transfer";
  EXPECT_DOUBLE_EQ(compute_averages(results).sane9.value(), (450 - 30) / 9.0);
}

TEST(Results, JsonHasTheDocumentedKeysInGlueOrder) {
  GlueResults results{.protocol = "sane"};
  results.tasks["rte"] = accuracies({50, 60});
  results.tasks["cola"] = accuracies({40});
  results.tasks["a-task"] = accuracies({30});
  const auto document = nlohmann::ordered_json::parse(results_to_json(results));
  EXPECT_EQ(document["protocol"], "sane");
  EXPECT_EQ(document["tasks"].begin().key(), "cola");
  EXPECT_EQ((--document["tasks"].end()).key(), "a-task");
  const auto& rte = document["tasks"]["rte"];
  EXPECT_EQ(rte["metric"], "accuracy");
  EXPECT_EQ(rte["median"], 55);
  EXPECT_EQ(rte["mean"], 55);
  EXPECT_NEAR(rte["sd"].get<double>(), std::sqrt(50), 1e-12);
  EXPECT_EQ(rte["seeds"][1]["seed"], 1);
  EXPECT_EQ(rte["seeds"][1]["metrics"]["accuracy"], 60);
  EXPECT_TRUE(document["averages"]["sane9"].is_null());
  EXPECT_TRUE(document["averages"].contains("transfer8"));
  EXPECT_EQ(nlohmann::json::parse(results_to_json(full_run()))["averages"]["sane9"], 50);
}

TEST(Results, ReadBackEqualsWhatWasWritten) {
  const Scratch scratch;
  const auto path = scratch.root() / "deep/results.json";
  GlueResults written = full_run();
  written.tasks["rte"] = accuracies({100.0 / 3, 200.0 / 7, 1e-17});
  save_results(written, path);
  const GlueResults read = load_results(path);
  EXPECT_EQ(results_to_json(read), results_to_json(written));
  EXPECT_EQ(read.tasks.at("rte").seeds[0].metrics.at("accuracy"), 100.0 / 3);
  EXPECT_EQ(read.tasks.at("rte").seeds[0].seconds, 1.5);
}

TEST(Results, UnknownKeysAreIgnoredOnReading) {
  const Scratch scratch;
  auto document = nlohmann::json::parse(results_to_json(full_run()));
  document["added"] = {1, 2};
  document["tasks"]["rte"]["added"] = "x";
  document["tasks"]["rte"]["seeds"][0]["added"] = nullptr;
  document["tasks"]["rte"]["seeds"][0].erase("seconds");
  EXPECT_EQ(load_results(scratch.write("r.json", document.dump())).tasks.size(), 9U);
}

TEST(Results, ATruncatedFileIsRefusedAtEveryLength) {
  const Scratch scratch;
  const std::string whole = results_to_json(full_run());
  for (size_t length = 0; length + 2 < whole.size(); length += 7) {  // the last two bytes are "}\n"
    const auto path = scratch.write("r.json", whole.substr(0, length));
    EXPECT_THROW(load_results(path), DataError) << length;
  }
  EXPECT_THROW(load_results(scratch.root() / "absent.json"), DataError);
}

TEST(Results, AMissingOrWrongKeyIsNamed) {
  const Scratch scratch;
  const auto refusal = [&](const auto& damage) {
    auto document = nlohmann::json::parse(results_to_json(full_run()));
    damage(document);
    const auto path = scratch.write("r.json", document.dump());
    return message_of<DataError>([&] { load_results(path); });
  };
  using Json = nlohmann::json;
  EXPECT_TRUE(contains(refusal([](Json& d) { d = 3; }), "is number, expected an object"));
  EXPECT_TRUE(contains(refusal([](Json& d) { d.erase("protocol"); }), "lacks the key 'protocol'"));
  EXPECT_TRUE(contains(refusal([](Json& d) { d["protocol"] = 3; }), "'protocol' is number, expected a string"));
  EXPECT_TRUE(contains(refusal([](Json& d) { d["protocol"] = "x"; }), "expected sane or transfer"));
  EXPECT_TRUE(contains(refusal([](Json& d) { d["tasks"]["rte"]["median"] = "9"; }), "tasks rte 'median' is string"));
  EXPECT_TRUE(contains(refusal([](Json& d) { d["tasks"]["rte"]["seeds"] = Json::array(); }), "at least one entry"));
  EXPECT_TRUE(contains(refusal([](Json& d) { d["tasks"]["rte"]["seeds"][0]["seed"] = 1.5; }), "expected an integer"));
  EXPECT_TRUE(contains(refusal([](Json& d) { d["tasks"]["rte"]["metric"] = "f1"; }), "seed 0 lacks the metric 'f1'"));
}

TEST(ResultsTable, ShowsTasksInOrderWithBothAverages) {
  GlueResults results = full_run();
  results.tasks["rte"] = accuracies({90, 80, 91});
  const std::string table = format_results_table(results);
  EXPECT_TRUE(contains(table, "protocol sane: "));
  EXPECT_LT(table.find("\ncola "), table.find("\nmnli-mm "));
  EXPECT_LT(table.find("\nmnli-mm "), table.find("\nrte "));
  EXPECT_TRUE(contains(table, "accuracy   90.00  87.00 ± 6.08      3"));
  EXPECT_TRUE(contains(table, "\nsane9      50.00   mean of 9 medians"));
  EXPECT_TRUE(contains(table, "\ntransfer8  48.12   mean of 8 medians"));
}

TEST(ResultsTable, SaysWhichEntriesAnAverageLacks) {
  GlueResults results = full_run();
  results.tasks.erase("qqp");
  results.tasks.erase("mnli-mm");
  EXPECT_TRUE(contains(format_results_table(results), "\nsane9      -       needs qqp, mnli-mm\n"));
}

}  // namespace
}  // namespace bertcram::glue
