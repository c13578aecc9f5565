// The runs under a folder, as several viewers share them, while files come, grow, break and go.

#include "monitor/run_store.h"

#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "monitor/file_view.h"
#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;
using test::ScratchDirectory;

class RunStoreTest : public ::testing::Test {
 protected:
  void make_run(const std::string& name, const std::string& state = "running", int64_t step = 5) {
    write_status(name, state, step);
    append(name, R"({"step":1,"loss":9.5,"tokens":10})");
    append(name, R"({"step":1,"eval_loss":9.0,"tokens":10})");
    append(name, R"({"step":5,"loss":7.5,"tokens":50,"mfu":null})");
  }
  void write_status(const std::string& name, const std::string& state, int64_t step) {
    scratch_.write(name + "/status.json", json{{"state", state},
                                               {"step", step},
                                               {"tokens", 10 * step},
                                               {"budget_share", 0.25},
                                               {"elapsed_seconds", 100},
                                               {"unix_time", 1000}}
                                              .dump());
  }
  void append(const std::string& name, const std::string& line) {
    std::filesystem::create_directories(scratch_ / name);
    std::ofstream(scratch_ / (name + "/metrics.jsonl"), std::ios::app) << line << "\n";
  }
  /// Two looks at the folder, so that what is kept from the first is tried too.
  void later(double seconds) {
    now_ += seconds;
    store_->refresh();
  }
  json row(const std::string& name) {
    const json news = store_->news(0);
    for (const json& row : news["runs"]) {
      if (row["name"] == name) {
        return row;
      }
    }
    return {};
  }
  void open() {
    store_ = std::make_unique<RunStore>(scratch_.path(), [this] { return now_; });
    store_->refresh();
  }

  ScratchDirectory scratch_;
  double now_ = 1010;
  std::unique_ptr<RunStore> store_;
};

TEST_F(RunStoreTest, ListsRunsWithTheirStateAndLastFigures) {
  make_run("first");
  make_run("sweep/<b>", "finished");
  open();
  const json first = row("first");
  EXPECT_EQ(first["state"], "running");
  EXPECT_EQ(first["step"], 5);
  EXPECT_EQ(first["loss"], 7.5);
  EXPECT_EQ(first["eval_loss"], 9.0);
  EXPECT_TRUE(first["mfu"].is_null());
  EXPECT_EQ(first["eta_seconds"], 300);
  EXPECT_EQ(first["heartbeat_age_seconds"], 10);
  EXPECT_TRUE(row("sweep/<b>")["eta_seconds"].is_null());
  EXPECT_EQ(store_->news(0)["ids"].size(), 2U);
}

TEST_F(RunStoreTest, TellsOnlyWhatIsNewSinceAVersion) {
  make_run("a");
  make_run("b");
  open();
  const int64_t before = store_->news(0)["version"];
  later(5);
  EXPECT_TRUE(store_->news(before)["runs"].empty()) << "the age of a heartbeat is no news";
  write_status("b", "running", 6);
  later(1);
  const json news = store_->news(before);
  ASSERT_EQ(news["runs"].size(), 1U);
  EXPECT_EQ(news["runs"][0]["name"], "b");
  EXPECT_FALSE(news.contains("ids"));
  append("a", R"({"step":6,"loss":7.25})");
  later(1);
  const json more = store_->news(news["version"]);
  EXPECT_EQ(more["runs"][0]["loss"], 7.25);
  scratch_.write("a/glue/results.json", "{}");
  later(1);
  EXPECT_EQ(store_->news(more["version"])["runs"].size(), 1U) << "new scores";
}

TEST_F(RunStoreTest, AnEventIsMadeOnceForAllWhoAskWithinASecond) {
  make_run("a");
  open();
  const auto first = store_->event(0);
  EXPECT_TRUE(first->has_news);
  EXPECT_EQ(first->text, "event: runs\ndata: " + store_->news(0).dump() + "\n\n");
  EXPECT_EQ(store_->event(0), first);
  EXPECT_FALSE(store_->event(first->version)->has_news);
  later(1);
  const auto second = store_->event(0);
  EXPECT_EQ(second->version, first->version);
  EXPECT_NE(second->text, first->text) << "the heartbeat is older";
  append("a", R"({"step":6,"loss":7.25})");
  later(1);
  now_ -= 1;  // within the same second
  EXPECT_NE(store_->event(0)->version, first->version);
  EXPECT_TRUE(store_->event(first->version)->has_news);
}

TEST_F(RunStoreTest, TheLastEvaluationIsKeptHoweverFarBack) {
  make_run("a");
  open();
  std::string lines;
  while (lines.size() < (size_t{5} << 20U)) {
    lines += "{\"step\":6,\"loss\":1.5}\n";
  }
  append("a", lines + R"({"step":7,"loss":1.25})");
  later(1);
  EXPECT_EQ(row("a")["loss"], 1.25);
  EXPECT_EQ(row("a")["eval_loss"], 9.0) << "known from the look before";
  std::filesystem::rename(scratch_ / "a/metrics.jsonl", scratch_ / "a/old");
  append("a", lines);  // another run's, longer than the one before
  append("a", lines);
  later(1);
  EXPECT_TRUE(row("a")["eval_loss"].is_null());
}

TEST_F(RunStoreTest, GoesOnWhenTheClockIsSetBack) {
  make_run("a");
  open();
  write_status("a", "running", 6);
  later(-5);
  EXPECT_EQ(row("a")["step"], 6);
}

TEST_F(RunStoreTest, LooksAtMostOnceASecond) {
  make_run("a");
  open();
  write_status("a", "running", 6);
  later(0.5);
  EXPECT_EQ(row("a")["step"], 5);
  later(0.5);
  EXPECT_EQ(row("a")["step"], 6);
}

TEST_F(RunStoreTest, ASilentRunGoesStale) {
  make_run("a");
  open();
  later(1000);
  EXPECT_EQ(row("a")["state"], "stale");
}

TEST_F(RunStoreTest, RunsComeAndGo) {
  make_run("a");
  open();
  const std::string id = row("a")["id"];
  const auto kept = store_->find(id);
  ASSERT_NE(kept, nullptr);
  const int64_t before = store_->news(0)["version"];
  std::filesystem::remove_all(scratch_ / "a");
  make_run("b");
  later(3);
  EXPECT_EQ(store_->find(id), nullptr);
  const json news = store_->news(before);
  ASSERT_TRUE(news.contains("ids"));
  EXPECT_EQ(news["ids"].size(), 1U);
  EXPECT_EQ(news["runs"][0]["name"], "b");
  std::filesystem::remove_all(scratch_ / "b");
  later(3);
  EXPECT_EQ(store_->news(news["version"])["ids"], json::array()) << "that a run goes is news too";
  EXPECT_EQ(*kept->answer("q", now_, [](const RunFacts& run) { return run.name; }), "a") << "who has it may go on";
}

TEST_F(RunStoreTest, AnswersAreMadeOnceUntilTheFilesChange) {
  make_run("a");
  open();
  const auto run = store_->find(row("a")["id"]);
  int made = 0;
  const auto ask = [&] {
    return *run->answer("rows", now_, [&](const RunFacts& facts) {
      ++made;
      return std::to_string(facts.metrics.training().size());
    });
  };
  EXPECT_EQ(ask(), "2");
  EXPECT_EQ(ask(), "2");
  EXPECT_EQ(made, 1);
  append("a", R"({"step":6,"loss":7})");
  EXPECT_EQ(ask(), "2") << "files are looked at once a second";
  now_ += 1;
  EXPECT_EQ(ask(), "3");
  EXPECT_EQ(made, 2);
}

TEST_F(RunStoreTest, WhoAsksBecauseOfNewsGetsIt) {
  make_run("a");
  open();
  const auto run = store_->find(row("a")["id"]);
  const auto count = [&] {
    return *run->answer("rows", now_,
                        [](const RunFacts& facts) { return std::to_string(facts.metrics.training().size()); });
  };
  now_ += 0.5;
  EXPECT_EQ(count(), "2");
  append("a", R"({"step":6,"loss":7})");
  later(0.6);  // a second after the store's last look, 0.6 after the answer's
  EXPECT_EQ(row("a")["loss"], 7);
  EXPECT_EQ(count(), "3");
}

TEST_F(RunStoreTest, ManyThreadsMayAsk) {
  make_run("a");
  open();
  const auto run = store_->find(row("a")["id"]);
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 50; ++i) {
        store_->refresh();
        const auto text = run->answer(std::to_string(i % 60), 1010 + i, [&](const RunFacts& facts) {
          return facts.name + std::to_string(thread - thread);
        });
        right += *text == "a0" && store_->news(0)["runs"].size() == 1 ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(right, 8 * 50);
}

TEST_F(RunStoreTest, FilesBehindLinksThatLeadOutAreMissing) {
  const ScratchDirectory outside;
  outside.write("secret", "model:\n  hidden: 64\n# password\n");
  outside.write("metrics.jsonl", "{\"step\":1,\"loss\":123}\n");
  make_run("a");
  make_run("b");
  std::filesystem::remove(scratch_ / "a/metrics.jsonl");
  for (const char* name : {"config.yaml", "run.log"}) {
    std::filesystem::create_symlink(outside / "secret", scratch_ / ("a/" + std::string(name)));
  }
  std::filesystem::create_symlink(outside / "metrics.jsonl", scratch_ / "a/metrics.jsonl");
  scratch_.write("b/inner.log", "inner\n");
  std::filesystem::create_symlink("inner.log", scratch_ / "b/run.log");
  open();
  EXPECT_TRUE(row("a")["loss"].is_null());
  EXPECT_EQ(row("a")["metrics_bytes"], 0) << "nor is the size told of what is outside";
  const auto run = store_->find(row("a")["id"]);
  EXPECT_EQ(*run->answer(
                "q", now_,
                [](const RunFacts& facts) { return facts.config + std::to_string(facts.metrics.training().size()); }),
            "0");
  EXPECT_TRUE(run->log_lines(10).empty());
  EXPECT_EQ(store_->find(row("b")["id"])->log_lines(10), std::vector<std::string>({"inner"}))
      << "links within are fine";
}

TEST_F(RunStoreTest, APipeInPlaceOfAFileIsNotWaitedFor) {
  make_run("a");
  ASSERT_EQ(::mkfifo((scratch_ / "a/run.log").c_str(), 0600), 0);
  open();
  EXPECT_TRUE(store_->find(row("a")["id"])->log_lines(10).empty());
}

TEST_F(RunStoreTest, OfALongLogTheEndIsTold) {
  make_run("a");
  std::string log;
  for (int i = 0; i < 20'000; ++i) {
    log += "line " + std::to_string(i) + "\n";
  }
  scratch_.write("a/run.log", log);
  open();
  const auto lines = store_->find(row("a")["id"])->log_lines(3);
  EXPECT_EQ(lines, std::vector<std::string>({"line 19997", "line 19998", "line 19999"}));
  const auto many = store_->find(row("a")["id"])->log_lines(100'000);
  EXPECT_EQ(many.front().substr(0, 5), "line ") << "not from the middle of a line";
}

TEST_F(RunStoreTest, FilesOfOtherKindsAreNoReasonToFail) {
  scratch_.write("a/status.json", "[[[");
  scratch_.write("a/metrics.jsonl", std::string("\0\xff garbage\n{\"step\": 1, \"loss\": 1e999}\n[1]\n", 42));
  scratch_.write("a/config.yaml", "{unknown: [");
  scratch_.write("a/glue/results.json", "{\"tasks\": 7}");
  open();
  EXPECT_EQ(row("a")["state"], "unknown");
  EXPECT_EQ(*store_->find(row("a")["id"])->answer("q", now_, [](const RunFacts& run) { return run.config; }),
            "{unknown: [");
}

TEST(RunStore, NeedsAFolder) {
  const ScratchDirectory scratch;
  EXPECT_THROW(RunStore(scratch / "none", [] { return 0.0; }), DataError);
}

TEST(LastLines, AreFoundFromTheEndWhateverLiesBetween) {
  const ScratchDirectory scratch;
  std::string text = "{\"step\":1,\"eval_loss\":8}\n";
  for (int i = 0; i < 5000; ++i) {
    text += cat("{\"step\":", i, ",\"loss\":", i, ".5}\n");
  }
  const auto path = scratch.write("m", text + "damaged\n{\"event\":\"start\",\"step\":3}\n{\"step\":9,\"lo");
  const json found = read_last_lines(FileView(path));
  EXPECT_EQ(found["training"]["loss"], 4999.5);
  EXPECT_EQ(found["evaluation"]["eval_loss"], 8);
  EXPECT_TRUE(read_last_lines(FileView(scratch.write("empty", "")))["training"].is_null());
  EXPECT_TRUE(read_last_lines(FileView(scratch.write("no end", "{\"step\":1,\"loss\":2}")))["training"].is_null());
  EXPECT_EQ(read_last_lines(FileView(scratch.write("one", "{\"step\":1,\"loss\":2}\n")))["training"]["loss"], 2);
  const std::string two = "{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1}";
  EXPECT_EQ(read_last_lines(FileView(scratch.write("two", two)))["training"]["loss"], 2) << "may still be written";
  const std::string damage = two + "\n" + std::string(1'500'000, 'x');
  EXPECT_EQ(read_last_lines(FileView(scratch.write("damaged", damage)))["training"]["loss"], 1);
  EXPECT_EQ(read_last_lines(FileView(scratch.write("damaged line", damage + "\n")))["training"]["loss"], 1);
}

TEST(FileViewTest, OpensFilesOnly) {
  const ScratchDirectory scratch;
  ASSERT_EQ(::mkfifo((scratch / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(FileView(scratch / "pipe").is_open());
  EXPECT_FALSE(FileView("/dev/zero").is_open());
  EXPECT_FALSE(FileView(scratch.path()).is_open());
  EXPECT_TRUE(FileView(scratch.write("file", "")).is_open());
}

TEST(LiesWithin, ComparesWholeNames) {
  EXPECT_TRUE(lies_within("/a/runs/x", "/a/runs"));
  EXPECT_TRUE(lies_within("/a/runs", "/a/runs"));
  EXPECT_FALSE(lies_within("/a/runs2/x", "/a/runs"));
  EXPECT_FALSE(lies_within("/a", "/a/runs"));
}

}  // namespace
}  // namespace bertcram::monitor
