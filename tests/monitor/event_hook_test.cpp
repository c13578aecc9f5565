// --on-event: everything is told in order, and a command that misbehaves costs a warning and bounded time.

#include "bertcram/monitor/event_hook.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "bertcram/monitor/run_events.h"
#include "bertcram/util/stop.h"
#include "util/log_file.h"
#include "util/test_support.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;
using test::contains;
using test::LogFile;
using test::ScratchDirectory;
using namespace std::chrono_literals;

std::vector<json> lines_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(json::parse(line));
  }
  return lines;
}

TEST(EventHook, TellsEverythingInOrderAndTheLastBeforeItEnds) {
  const ScratchDirectory scratch;
  {
    EventHook hook(cat("sleep 0.05; cat >> ", (scratch / "told").string()));
    for (int i = 0; i < 5; ++i) {
      hook.send("evaluation", {{"number", i}});
    }
  }
  const auto told = lines_of(scratch / "told");
  ASSERT_EQ(told.size(), 5U);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(told[static_cast<size_t>(i)]["number"], i);
  }
}

TEST(EventHook, AFailureIsWarnedOfOncePerMessageWithoutTheCommand) {
  const LogFile log;
  {
    EventHook hook("echo 'cannot resolve host' >&2; exit 6 # secret-token");
    hook.send("start", {});
    hook.send("finished", {});
  }
  EXPECT_EQ(log.count_of("failed: exit status 6: cannot resolve host"), 2U) << log.text();
  EXPECT_TRUE(contains(log.text(), "'start'"));
  EXPECT_FALSE(contains(log.text(), "secret-token"));
}

TEST(EventHook, OneThatHangsIsKilledAndTheLastMessageStillGoesOut) {
  const ScratchDirectory scratch;
  const LogFile log;
  const auto begun = std::chrono::steady_clock::now();
  {
    EventHook hook(cat("read -r line; case $line in *finished*) echo \"$line\" > ", (scratch / "told").string(),
                       ";; *) sleep 1000;; esac"),
                   {.each = 60s, .others_at_end = 300ms, .last_at_end = 20s});
    hook.send("start", {{"event", "start"}});
    hook.send("evaluation", {{"event", "evaluation"}});
    hook.send("finished", {{"event", "finished"}});
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 19s);
  ASSERT_EQ(lines_of(scratch / "told").size(), 1U) << log.text();
  EXPECT_TRUE(contains(log.text(), "'start' failed: it took too long and was killed"));
  EXPECT_TRUE(contains(log.text(), "'evaluation' was not told"));
}

TEST(EventHook, HoldsNobodyUpAndKeepsFewMessages) {
  const ScratchDirectory scratch;
  const LogFile log;
  {
    EventHook hook(cat("cat >> ", (scratch / "told").string(), "; sleep 0.3"), {.waiting = 3});
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) {
      hook.send("evaluation", {{"number", i}});
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  }
  const auto told = lines_of(scratch / "told");
  EXPECT_GE(told.size(), 3U);
  EXPECT_LE(told.size(), 30U);
  for (size_t i = told.size() - 3; i < told.size(); ++i) {
    EXPECT_EQ(told[i]["number"], 1000 - told.size() + i) << "the newest are kept";
  }
  EXPECT_EQ(log.count_of("the oldest messages that wait for it are dropped"), 1U);
}

TEST(EventHook, WithoutACommandNothingHappens) {
  EventHook hook("");
  hook.send("start", {});
}

TEST(RunEvents, EveryMessageSaysWhoseItIsAndHasALineForPeople) {
  const ScratchDirectory scratch;
  {
    RunEvents events("pretrain", scratch / "runs" / "first/", cat("cat >> ", (scratch / "told").string()));
    events.send("evaluation", "step 10, held-out loss 2.5", {{"eval_loss", 2.5}});
    events.ended_by(DivergedError("pretrain: no numbers"), {{"step", 12}});
    util::StopFlag stop;
    stop.request(15);
    events.ended_by(util::StoppedError(stop, "pretrain: stopped"));
    events.ended_by(std::runtime_error("disk full"));
  }
  RunEvents("finetune-glue", scratch / "runs" / "first" / "glue", cat("cat > ", (scratch / "own").string()))
      .send("finished", "done", {});
  EXPECT_EQ(lines_of(scratch / "own").at(0)["run"], "first/glue") << "every run has a folder of this name";
  const auto told = lines_of(scratch / "told");
  ASSERT_EQ(told.size(), 4U);
  EXPECT_EQ(told[0]["text"], "first: step 10, held-out loss 2.5");
  EXPECT_EQ(told[0]["eval_loss"], 2.5);
  EXPECT_EQ(told[0]["event"], "evaluation");
  for (const json& message : told) {
    EXPECT_EQ(message["command"], "pretrain");
    EXPECT_EQ(message["run"], "first");
    EXPECT_EQ(message["folder"], (scratch / "runs" / "first/").lexically_normal().string());
    EXPECT_GT(message["unix_time"], 1'700'000'000);
    EXPECT_FALSE(message["host"].get<std::string>().empty());
  }
  EXPECT_EQ(told[1]["event"], "diverged");
  EXPECT_EQ(told[1]["reason"], "pretrain: no numbers");
  EXPECT_EQ(told[1]["step"], 12);
  EXPECT_EQ(told[2]["event"], "stopped");
  EXPECT_EQ(told[3]["event"], "failed");
}

}  // namespace
}  // namespace bertcram::monitor
