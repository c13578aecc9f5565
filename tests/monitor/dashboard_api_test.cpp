// What the dashboard answers, without a network.

#include "monitor/dashboard_api.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "monitor/run_json.h"
#include "util/source_dir.h"
#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;
using test::ScratchDirectory;

class DashboardApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    scratch_.write(
        "first/status.json",
        R"({"state":"running","step":4,"tokens":40,"budget_share":0.5,"elapsed_seconds":8,"unix_time":1000})");
    scratch_.write("first/config.yaml", "optim:\n  learning_rate: 0.003\n");
    write_metrics(R"({"event":"start","step":0,"seed":3,"device":"cpu","secret":{"a":1}})"
                  "\n"
                  R"({"step":1,"tokens":10,"loss":9.5,"lr":0.001,"elapsed_seconds":2,"mfu":null,"a,\"b":1})"
                  "\n"
                  R"({"step":2,"tokens":20,"loss":-1e300,"lr":0.00123456789,"elapsed_seconds":4})"
                  "\n"
                  R"({"step":4,"tokens":40,"eval_loss":6.5,"eval_accuracy":0.25,"elapsed_seconds":8})"
                  "\n");
  }
  void write_metrics(const std::string& text) { scratch_.write("first/metrics.jsonl", text); }
  RunStore& store() {
    if (!store_) {
      store_ = std::make_unique<RunStore>(scratch_.path(), [] { return 1010.0; });
      store_->refresh();
    }
    return *store_;
  }
  std::string path(const std::string& rest = "") {
    return "/api/runs/" + store().news(0)["ids"][0].get<std::string>() + rest;
  }
  ApiAnswer ask(const std::string& path, const std::multimap<std::string, std::string>& parameters = {}) {
    return answer(store(), {.path = path, .parameters = parameters});
  }
  json get(const std::string& path, const std::multimap<std::string, std::string>& parameters = {}) {
    const ApiAnswer found = ask(path, parameters);
    EXPECT_EQ(found.status, 200) << found.body;
    EXPECT_EQ(found.type, "application/json");
    return json::parse(found.body);
  }

  ScratchDirectory scratch_;
  std::unique_ptr<RunStore> store_;
};

TEST_F(DashboardApiTest, ThePageNeedsNoOtherServer) {
  const ApiAnswer page = ask("/");
  EXPECT_EQ(page.type, "text/html; charset=utf-8");
  EXPECT_EQ(ask("/index.html").body, page.body);
  EXPECT_EQ(ask("/style.css").type, "text/css; charset=utf-8");
  EXPECT_EQ(ask("/main.js").type, "text/javascript; charset=utf-8");
  EXPECT_EQ(test::read_bytes(test::source_dir() / "src/monitor/page/main.js"), ask("/main.js").body);
  for (const char* file : {"/", "/style.css", "/main.js", "/api.js", "/list.js", "/run.js", "/tables.js", "/chart.js",
                           "/format.js", "/dom.js"}) {
    const std::string text = ask(file).body;
    EXPECT_FALSE(text.empty()) << file;
    EXPECT_TRUE(is_page(file));
    for (const char* part :
         {"//cdn", "https:", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("}) {
      EXPECT_EQ(text.find(part), std::string::npos) << file << " has " << part;
    }
  }
}

TEST_F(DashboardApiTest, ShowsTheLastSamplesAndNothingOfDamagedOnes) {
  EXPECT_TRUE(get(path())["samples"].is_null());
  write_metrics(
      R"({"step":2,"eval_loss":6,"samples":[{"before":"old","truth":"t","after":"","top":[]}]})"
      "\n"
      R"({"step":4,"eval_loss":5,"samples":[{"before":"the","truth":"cat","after":"<b>","top":[{"token":"dog","probability":0.51239},7]},3]})"
      "\n");
  store_.reset();
  const json samples = get(path())["samples"];
  EXPECT_EQ(samples["step"], 4);
  EXPECT_EQ(samples["samples"],
            json::parse(R"([{"before":"the","truth":"cat","after":"<b>","top":[{"token":"dog","probability":0.5124},
                            {"token":"","probability":0}]}])"));
  write_metrics("{\"step\":5,\"eval_loss\":5,\"samples\":{\"a\":1}}\n");
  store_.reset();
  EXPECT_TRUE(get(path())["samples"].is_null());
}

TEST_F(DashboardApiTest, SeriesAreByStepsTokensOrSeconds) {
  const json series = get(path("/series"));
  EXPECT_EQ(series["rows"], 2);
  EXPECT_EQ(series["series"]["loss"]["x"], json({1, 2}));
  EXPECT_EQ(series["series"]["loss"]["y"], json({9.5, -1e300}));
  EXPECT_EQ(series["series"]["lr"]["y"], json({0.001, 0.00123457})) << "six digits";
  EXPECT_TRUE(series["series"].contains("loss_smooth"));
  EXPECT_FALSE(series["series"].contains("mfu")) << "no finite value";
  EXPECT_EQ(series["series"]["eval_loss"]["y"], json({6.5}));
  EXPECT_EQ(get(path("/series"), {{"x", "tokens"}})["series"]["loss"]["x"], json({10, 20}));
  EXPECT_EQ(get(path("/series"), {{"x", "seconds"}})["series"]["eval_loss"]["x"], json({8}));
  const json some = get(path("/series"), {{"keys", "lr,eval_loss,none"}})["series"];
  EXPECT_EQ(some.size(), 2U);
}

TEST_F(DashboardApiTest, SeriesLeaveOutRowsWithoutAPlaceAndKeepTinyNumbers) {
  write_metrics(
      "{\"step\":1,\"tokens\":10,\"loss\":1e-310}\n{\"step\":2,\"loss\":5}\n{\"step\":3,\"tokens\":30,\"loss\":6}\n");
  const json loss = get(path("/series"), {{"x", "tokens"}})["series"]["loss"];
  EXPECT_EQ(loss["x"], json({10, 30}));
  EXPECT_EQ(loss["y"], json({1e-310, 6}));
}

TEST_F(DashboardApiTest, LongSeriesAreSmoothedOverAHundredthOfTheirRows) {
  constexpr int kRows = 1600;
  std::string text;
  for (int step = 1; step <= kRows; ++step) {
    text += cat("{\"step\":", step, ",\"loss\":", step == kRows ? 16 : 0, "}\n");
  }
  write_metrics(text);
  const json series = get(path("/series"), {{"points", "5000"}})["series"];
  EXPECT_NEAR(series["loss_smooth"]["y"].back().get<double>(), 1, 1e-4);  // 16 of the last 16 rows' weight
}

TEST_F(DashboardApiTest, LongSeriesKeepTheirExtremes) {
  std::string text;
  for (int step = 1; step <= 20'000; ++step) {
    text += cat("{\"step\":", step, ",\"loss\":", step == 7777 ? 99 : step == 5555 ? -99 : 5, "}\n");
  }
  write_metrics(text);
  const json series = get(path("/series"), {{"points", "400"}});
  EXPECT_EQ(series["rows"], 20'000);
  const json& y = series["series"]["loss"]["y"];
  EXPECT_LE(y.size(), 400U);
  EXPECT_EQ(*std::max_element(y.begin(), y.end()), 99);
  EXPECT_EQ(*std::min_element(y.begin(), y.end()), -99);
  EXPECT_EQ(series["series"]["loss"]["x"].back(), 20'000);
}

TEST_F(DashboardApiTest, LongSeriesWithGapsHaveNoMorePointsThanAskedFor) {
  std::string text;
  for (int step = 1; step <= 20'000;
       ++step) {  // in each stretch the ends, a low, a high and a gap are five different ones
    text += cat("{\"step\":", step, ",\"loss\":", step % 7 == 0 ? "null" : cat(step * 37 % 101), "}\n");
  }
  write_metrics(text);
  const json y = get(path("/series"), {{"points", "100"}})["series"]["loss"]["y"];
  EXPECT_LE(y.size(), 100U);
  EXPECT_GT(y.size(), 60U);
  EXPECT_NE(std::find(y.begin(), y.end(), json()), y.end());
}

TEST_F(DashboardApiTest, ASeedThatDoublesDoNotHoldIsText) {
  write_metrics(
      "{\"event\":\"start\",\"step\":0,\"seed\":9007199254740993}\n{\"event\":\"start\",\"step\":1,\"seed\":7}\n");
  const json sessions = get(path())["sessions"];
  EXPECT_EQ(sessions[0]["seed"], "9007199254740993");
  EXPECT_EQ(sessions[1]["seed"], 7);
}

TEST_F(DashboardApiTest, WhatIsNoNumberIsAGap) {
  write_metrics(
      "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":null}\n{\"step\":3,\"loss\":\"NaN\"}\n{\"step\":4,\"loss\":2}\n");
  const json series = get(path("/series"))["series"]["loss"];
  EXPECT_EQ(series["x"], json({1, 2, 3, 4}));
  EXPECT_EQ(series["y"], json({1, nullptr, nullptr, 2}));
}

TEST_F(DashboardApiTest, DetailsHaveSessionsChangesAndGlueAsItFills) {
  json details = get(path());
  EXPECT_EQ(details["name"], "first");
  EXPECT_EQ(details["sessions"][0]["device"], "cpu");
  EXPECT_FALSE(details["sessions"][0].contains("secret"));
  EXPECT_NE(details["changes"].dump().find("optim.learning_rate"), std::string::npos);
  EXPECT_EQ(details["config"], "optim:\n  learning_rate: 0.003\n");
  EXPECT_TRUE(details["glue"].is_null());
  scratch_.write("first/glue/results.json",
                 R"({"protocol":"sane","failed":{"cola":"no memory"},
                     "tasks":{"rte":{"metric":"accuracy","median":55.5,"mean":55.2,"sd":1.5,"seeds":[{},{}]}}})");
  store_.reset();
  details = get(path());
  EXPECT_EQ(
      details["glue"]["tasks"][0],
      json({{"name", "rte"}, {"metric", "accuracy"}, {"median", 55.5}, {"mean", 55.2}, {"sd", 1.5}, {"seeds", 2}}));
  EXPECT_EQ(details["glue"]["failed"]["cola"], "no memory");
  std::vector<std::string> references;
  for (const json& row : details["glue"]["references"]) {
    references.push_back(row["name"]);
  }
  EXPECT_EQ(std::ranges::count(references, "BERT-base"), 1);
  EXPECT_EQ(references.size(), 3U) << "those whose compute is known";
}

TEST_F(DashboardApiTest, DamagedScoresAreLeftOut) {
  scratch_.write("first/glue/results.json",
                 R"({"failed":"all","averages":{"sane9":"x"},
                     "tasks":{"cola":{"median":"x"},"rte":{"median":55,"seeds":7}}})");
  const json glue = get(path())["glue"];
  ASSERT_EQ(glue["tasks"].size(), 1U);
  EXPECT_EQ(glue["tasks"][0]["seeds"], 0);
  EXPECT_EQ(glue["failed"], json::object());
  EXPECT_TRUE(glue["average"].is_null());
}

TEST_F(DashboardApiTest, OfManySessionsTheLastAreTold) {
  std::string text;
  for (int session = 0; session < 150; ++session) {
    text += cat(R"({"event":"start","seed":)", session, R"(,"device":{"not":"a word"}})", "\n");
  }
  write_metrics(text);
  const json sessions = get(path())["sessions"];
  ASSERT_EQ(sessions.size(), 100U);
  EXPECT_EQ(sessions[99]["seed"], 149);
  EXPECT_FALSE(sessions[99].contains("device"));
}

TEST_F(DashboardApiTest, CsvHasAllColumns) {
  const ApiAnswer csv = ask(path("/metrics.csv"));
  EXPECT_EQ(csv.type, "text/csv; charset=utf-8");
  EXPECT_EQ(csv.body,
            "step,\"a,\"\"b\",elapsed_seconds,loss,lr,mfu,tokens\r\n"
            "1,1,2,9.5,0.001,,10\r\n"
            "2,,4,-1e+300,0.00123456789,,20\r\n");
  EXPECT_EQ(ask(path("/metrics.csv"), {{"table", "evaluations"}}).body,
            "step,elapsed_seconds,eval_accuracy,eval_loss,tokens\r\n4,8,0.25,6.5,40\r\n");
}

TEST_F(DashboardApiTest, CsvQuotesNamesOfSeveralLines) {
  write_metrics(R"({"step":1,"a\nb":2})"
                "\n");
  EXPECT_EQ(ask(path("/metrics.csv")).body, "step,\"a\nb\"\r\n1,2\r\n");
}

TEST_F(DashboardApiTest, PrometheusGetsGaugesOfEachRun) {
  std::filesystem::rename(scratch_ / "first", scratch_ / "a\"b\\c\nd");
  const std::string text = ask("/metrics").body;
  for (const char* line : {"bertcram_run_state{run=\"a\\\"b\\\\c\\nd\",state=\"running\"} 1\n",
                           "# TYPE bertcram_eval_loss gauge\nbertcram_eval_loss{run=\"a\\\"b\\\\c\\nd\"} 6.5\n",
                           "bertcram_heartbeat_age_seconds{run=\"a\\\"b\\\\c\\nd\"} 10\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
  EXPECT_EQ(text.find("mfu"), std::string::npos);
}

TEST_F(DashboardApiTest, NamesThatAreNoTextStillGiveJson) {
  std::filesystem::rename(scratch_ / "first", scratch_ / "bad\xff");
  EXPECT_EQ(get("/api/runs")["runs"][0]["name"], "bad\xEF\xBF\xBD");
  EXPECT_EQ(get(path())["name"], "bad\xEF\xBF\xBD");
  EXPECT_NE(ask("/metrics").body.find("bad\xEF\xBF\xBD"), std::string::npos);
}

TEST_F(DashboardApiTest, NamesThatLookAlikeHaveDifferentLabels) {
  std::filesystem::rename(scratch_ / "first", scratch_ / "bad\xff");
  std::filesystem::copy(scratch_ / "bad\xff", scratch_ / "bad\xfe");
  std::istringstream text(ask("/metrics").body);
  std::vector<std::string> labels;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("bertcram_step{")) {
      labels.push_back(line);
    }
  }
  ASSERT_EQ(labels.size(), 2U);
  EXPECT_NE(labels[0], labels[1]);
}

TEST_F(DashboardApiTest, UnknownPathsAndRunsAreNotFound) {
  for (const std::string& wrong :
       {std::string("/none"), std::string("/api"), std::string("/api/runs/"), std::string("/api/runs/first"),
        std::string("/api/runs/../first"), std::string("/../first/config.yaml"), std::string("/first/config.yaml"),
        path("/none"), path("/series/more"), path("/../../etc/passwd"), std::string("//"), std::string()}) {
    const ApiAnswer found = ask(wrong);
    EXPECT_EQ(found.status, 404) << wrong;
    EXPECT_TRUE(json::parse(found.body)["error"].is_string());
  }
}

TEST_F(DashboardApiTest, ParametersThatMakeNoSenseAreRefused) {
  for (const auto& [name, value] :
       {std::pair("x", "loss"), std::pair("points", "0"), std::pair("points", "-5"),
        std::pair("points", "99999999999999999999"), std::pair("points", "1e3"), std::pair("points", "")}) {
    const ApiAnswer found = ask(path("/series"), {{name, value}});
    EXPECT_EQ(found.status, 400) << name << "=" << value;
    EXPECT_NE(found.body.find(name), std::string::npos);
  }
  EXPECT_EQ(ask(path("/metrics.csv"), {{"table", "../x"}}).status, 400);
}

}  // namespace
}  // namespace bertcram::monitor
