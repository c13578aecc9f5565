// Reports of runs as they are: whole, bare, damaged, several.

#include "bertcram/monitor/report.h"

#include <algorithm>

#include "bertcram/util/error.h"
#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using test::ScratchDirectory;

class ReportTest : public ::testing::Test {
 protected:
  std::filesystem::path make_run(const std::string& name) const {
    scratch_.write(name + "/status.json",
                   R"({"state":"finished","step":4,"tokens":4000,"budget_share":1,"elapsed_seconds":8,"unix_time":5})");
    scratch_.write(
        name + "/metrics.jsonl",
        R"({"event":"start","step":0,"seed":3,"flops_per_token":1e15,"device":"cpu (2 threads), fp32","parameters":5450752})"
        "\n"
        R"({"step":1,"tokens":1000,"loss":9.5,"lr":0.001,"grad_norm":2,"tokens_per_second":500,"elapsed_seconds":2})"
        "\n"
        R"({"event":"start","step":1,"seed":3,"flops_per_token":1e15,"device":"cuda:0"})"
        "\n"
        R"({"step":4,"tokens":4000,"loss":7,"lr":0.0001,"grad_norm":1,"tokens_per_second":600,"elapsed_seconds":8})"
        "\n"
        R"({"step":4,"tokens":4000,"eval_loss":6.5,"eval_accuracy":0.25,"elapsed_seconds":8})"
        "\n");
    scratch_.write(name + "/config.yaml",
                   cat("data: ", (scratch_ / "packed").string(), "\noptim:\n  learning_rate: 0.003\n"));
    return scratch_ / name;
  }

  static std::string html_of(const std::vector<RunFacts>& runs) { return report_html(runs, report_plots(runs)); }
  static bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

  ScratchDirectory scratch_;
};

TEST_F(ReportTest, ShowsFiguresCurvesSessionsDataAndChanges) {
  const auto folder = make_run("first");
  scratch_.write("packed/manifest.json", R"({"counts":{"documents_read":1234},"filters":{"dedup":{"removed":77}}})");
  const std::string html = html_of({read_run(folder, 10)});
  for (const char* part : {"<title>first – bertcram</title>", "<td>finished</td>", "<td>6.5000</td>", "<td>25.0 %</td>",
                           "<td>4,000</td>", "cuda:0", "5,450,752", "documents read", "1,234", "removed by dedup",
                           "<td>77</td>", "optim.learning_rate", "0.003"}) {
    EXPECT_TRUE(has(html, part)) << part;
  }
  EXPECT_FALSE(has(html, "<h2>GLUE"));
}

TEST_F(ReportTest, LeavesOutFiltersThatWereOffAndCountsOfNothing) {
  const auto folder = make_run("first");
  scratch_.write("packed/manifest.json",
                 R"({"counts":{"documents_read":1234,"bad_records":0},"filters":{"dedup":{"value":"none","removed":0},)"
                 R"("min_chars":{"value":1,"removed":3},"max_symbols":{"value":1.0,"removed":0},)"
                 R"("near_duplicates":{"value":0.8,"removed":0},"duplicate_paragraphs":{"value":false,"removed":0},)"
                 R"("decontaminate":{"value":["dev.tsv"],"removed":0}}})");
  const std::string html = html_of({read_run(folder, 10)});
  for (const char* part :
       {"documents read", "removed by min_chars", "removed by near_duplicates", "removed by decontaminate"}) {
    EXPECT_TRUE(has(html, part)) << part;
  }
  for (const char* part :
       {"bad records", "removed by dedup", "removed by max_symbols", "removed by duplicate_paragraphs"}) {
    EXPECT_FALSE(has(html, part)) << part;
  }
}

TEST_F(ReportTest, ShowsTheSeedAsItWasGiven) {
  const auto folder = make_run("first");
  scratch_.write("first/metrics.jsonl",
                 "{\"event\":\"start\",\"step\":0,\"seed\":9007199254740993}\n"
                 "{\"event\":\"start\",\"step\":0,\"seed\":\"x\"}\n");
  const std::string html = html_of({read_run(folder, 10)});
  EXPECT_TRUE(has(html, "<td>9007199254740993</td>")) << html;
}

TEST_F(ReportTest, NumbersThatNoCounterHoldsAreShownAsTheLargest) {
  const auto folder = make_run("first");
  scratch_.write("first/status.json", R"({"state":"finished","step":1e300,"tokens":1e300,"elapsed_seconds":1e-300})");
  scratch_.write("first/metrics.jsonl", "{\"event\":\"start\",\"step\":1e300,\"parameters\":-1e300}\n");
  scratch_.write("packed/manifest.json", R"({"counts":{},"filters":{"dedup":{"removed":1e300}}})");
  const std::string html = html_of({read_run(folder, 10)});
  EXPECT_TRUE(has(html, "<td>removed by dedup</td><td>9,200,000,000,000,000,000</td>")) << html;
  EXPECT_TRUE(has(html, "<td>-9,200,000,000,000,000,000</td>"));
}

TEST_F(ReportTest, ShowsWhatWasExpectedInGaps) {
  const auto folder = make_run("first");
  EXPECT_FALSE(has(html_of({read_run(folder, 10)}), "Gaps in held-out text"));
  scratch_.write("first/metrics.jsonl",
                 R"({"step":4,"eval_loss":5,"samples":[{"before":"a <i>","truth":"cat","after":"sat",)"
                 R"("top":[{"token":"dog","probability":0.5},{"token":"cat","probability":0.25}]}]})"
                 "\n");
  const std::string html = html_of({read_run(folder, 10)});
  EXPECT_TRUE(has(html, "a &lt;i&gt; <mark>cat</mark> sat")) << html;
  EXPECT_TRUE(has(html, "dog 50 %, <b>cat 25 %</b>"));
}

TEST_F(ReportTest, HasNoLinkToAnythingOutside) {
  const std::string html = html_of({read_run(make_run("first"), 10)});
  for (const char* part : {"src=", "href=", "<script", "@import", "url("}) {
    EXPECT_FALSE(has(html, part)) << part;
  }
}

TEST_F(ReportTest, SetsGlueBesidePublishedRows) {
  const auto folder = make_run("first");
  scratch_.write("first/glue/results.json",
                 R"({"protocol":"sane","overrides":{"epochs":"3"},"averages":{"sane9":61.3},"tasks":{
                     "rte":{"metric":"accuracy","median":55.6,"mean":55.2,"sd":1.5,"seeds":[{},{},{}]},
                     "pets":{"metric":"f1","median":90.0,"mean":90.0,"sd":0,"seeds":[{}]}}})");
  const std::vector<RunFacts> runs = {read_run(folder, 10)};
  const std::string html = html_of(runs);
  for (const char* part :
       {"<td>rte</td><td>accuracy</td><td>55.6</td><td>55.2 ± 1.5</td><td>3</td>", "<th>BERT-base</th>",
        "<td>59.2</td>", "<td>pets</td>", "Protocol sane, epochs 3; mean of nine numbers: 61.3"}) {
    EXPECT_TRUE(has(html, part)) << part;
  }
  const auto plots = report_plots(runs);
  const auto compute = std::ranges::find(plots, "compute", &NamedPlot::name);
  ASSERT_NE(compute, plots.end());
  const auto ours = std::ranges::find_if(compute->plot.markers, &Marker::is_ours);
  ASSERT_NE(ours, compute->plot.markers.end());
  EXPECT_EQ(ours->x, 4e18);  // 4,000 tokens
  EXPECT_EQ(ours->y, 61.3);
  EXPECT_EQ(compute->plot.markers.size(), 4U) << "three published ones whose compute is known";
  const auto tasks = std::ranges::find(plots, "glue", &NamedPlot::name);
  ASSERT_NE(tasks, plots.end());
  const auto rte = std::ranges::find_if(tasks->plot.markers, &Marker::is_ours);
  ASSERT_NE(rte, tasks->plot.markers.end());
  EXPECT_EQ(std::vector({rte->low, rte->y, rte->high}), std::vector({55.2 - 1.5, 55.2, 55.2 + 1.5}));
  EXPECT_TRUE(has(html, "<title>BERT-base: 59.2</title></circle>")) << "who the hollow ones are";
}

TEST_F(ReportTest, MarksWhereSessionsBeganAndPlotsComputeOnlyWhereItIsKnown) {
  const auto folder = make_run("first");
  scratch_.write("first/glue/results.json", R"({"averages":{"sane9":61.3},"tasks":{}})");
  std::vector<RunFacts> runs = {read_run(folder, 10)};
  auto plots = report_plots(runs);
  const auto throughput = std::ranges::find(plots, "throughput", &NamedPlot::name);
  ASSERT_NE(throughput, plots.end());
  EXPECT_EQ(throughput->plot.rules, std::vector<double>({1})) << "the first session is no interruption";
  const auto by_time = std::ranges::find(plots, "loss-by-time", &NamedPlot::name);
  EXPECT_EQ(by_time->plot.curves.back().x, std::vector<double>({8.0 / 3600})) << "hours";
  runs[0].status.tokens = 0;
  plots = report_plots(runs);
  const auto compute = std::ranges::find(plots, "compute", &NamedPlot::name);
  EXPECT_EQ(std::ranges::count_if(compute->plot.markers, &Marker::is_ours), 0);
}

TEST_F(ReportTest, SurvivesDamagedFilesAndHostileNames) {
  const auto folder = make_run("<b>x&y<");
  scratch_.write("<b>x&y</config.yaml", "optim: [");
  scratch_.write("<b>x&y</glue/results.json",
                 R"({"tasks":{"rte":7,"cola":{"median":"x"}},"averages":[],"overrides":3})");
  scratch_.write("<b>x&y</metrics.jsonl", "{\"step\": 1, \"loss\": null}\nbroken\n{\"step\": 2, \"loss\": 1e308}\n");
  const std::string html = html_of({read_run(folder, 10)});
  EXPECT_FALSE(has(html, "<b>"));
  EXPECT_TRUE(has(html, "1 lines of metrics.jsonl could not be read"));
  EXPECT_TRUE(has(html, "nothing to show yet"));
}

TEST_F(ReportTest, IsUtf8WhateverTheFilesHold) {
  const auto folder = make_run("first");
  scratch_.write("first/config.yaml", "# \xff\nseed: 3\n");
  const std::string html = html_of({read_run(folder, 10)});
  EXPECT_TRUE(has(html, "# \xEF\xBF\xBD\n")) << html.substr(html.find("Configuration"));
  EXPECT_FALSE(has(html, "\xff"));
}

TEST_F(ReportTest, ComparesSeveralRuns) {
  const std::vector<RunFacts> runs = {read_run(make_run("one"), 10), read_run(make_run("two"), 10)};
  const std::string html = html_of(runs);
  for (const char* part : {"<h1>one, two</h1>", ">one: held out<", ">two: held out<", "Configuration: two"}) {
    EXPECT_TRUE(has(html, part)) << part;
  }
}

TEST_F(ReportTest, RunsOfOneNameHaveDifferentColoursAndFiles) {
  const auto glue =
      R"({"protocol":"sane","tasks":{"rte":{"metric":"accuracy","median":60,"mean":60,"sd":1,"seeds":[{}]}}})";
  for (const char* name : {"a/first", "b/first", "a-first"}) {
    scratch_.write(cat(name, "/glue/results.json"), glue);
    make_run(name);
  }
  write_report({scratch_ / "a/first", scratch_ / "b/first/", scratch_ / "a-first", scratch_ / "a-first"},
               scratch_ / "r.html");
  const std::string html = test::read_bytes(scratch_ / "r.html");
  EXPECT_TRUE(has(html, "<h1>a/first, b/first, a-first, a-first (2)</h1>")) << html.substr(html.find("<h1>"), 200);
  EXPECT_TRUE(has(html, "b/first: held out"));
  size_t plots = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch_ / "r-plots")) {
    const std::string name = entry.path().filename().string();
    plots += name.starts_with("glue-") && name.ends_with(".svg") ? 1U : 0U;
  }
  EXPECT_EQ(plots, 4U);
}

TEST_F(ReportTest, WritesThePlotsBesideIt) {
  make_run("first");
  write_report({scratch_ / "first"}, scratch_ / "first/report.html");
  EXPECT_TRUE(test::read_bytes(scratch_ / "first/report.html").starts_with("<!doctype html>"));
  EXPECT_TRUE(test::read_bytes(scratch_ / "first/report-plots/loss-by-time.svg").starts_with("<svg "));
  EXPECT_THROW(write_report({scratch_.path()}, scratch_ / "r.html"), DataError);
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "r.html"));
}

}  // namespace
}  // namespace bertcram::monitor
