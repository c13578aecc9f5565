// Runs that diverge and go back, that are stopped while steps are skipped, and that an error ends.

#include <gtest/gtest.h>

#include <csignal>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/util/error.h"
#include "train/pretrain_support.h"

namespace bertcram::train {
namespace {

using config::PretrainConfig;
using test::contains;
using test::message_of;
using test::read_bytes;

class PretrainRollback : public test::PretrainTest {
 protected:
  /// Whose first step leaves weights that are numbers, and logits that are not.
  PretrainConfig diverging_config(const std::string& name) const {
    auto config = config_for(name);
    config.batch = {.rows = 8, .micro_rows = 8};
    config.budget.steps = 40;
    config.optim = {.learning_rate = 1e30, .clip_norm = 0};
    config.schedule = {.warmup_frac = 0, .start_frac = 1};
    config.health.max_skipped_steps = 3;
    return config;
  }

  static checkpoint::TrainState newest_state(const PretrainConfig& config) {
    return checkpoint::read_state(checkpoint::list_checkpoints(checkpoints_of(config)).at(0));
  }

  /// A folder with the checkpoint of step 1, after which every step is skipped, of a run that has not gone back yet.
  static void diverge_at_first(const PretrainConfig& config, double elapsed_seconds = 0.01) {
    EXPECT_THROW(run(config), DivergedError);
    auto state = newest_state(config);
    EXPECT_EQ(state.step, 1);
    state.rate_factor = 1.0;
    state.elapsed_seconds = elapsed_seconds;
    state.reserved_seconds = 0;
    checkpoint::update_state(checkpoints_of(config), state);
  }

  static std::string log_of(const PretrainConfig& config) {
    return read_bytes(std::filesystem::path(config.output) / "run.log");
  }

  static std::string status_of(const PretrainConfig& config) {
    return nlohmann::json::parse(read_bytes(std::filesystem::path(config.output) / "status.json"))["state"];
  }
};

TEST_F(PretrainRollback, ARunThatGoesBackCanEndWell) {
  auto config = config_for("run");
  config.budget.steps = 3;
  run(config);
  config.budget.steps = 8;
  // A rate that fp32 cannot hold, and whose half it can: that update then is about a step along the gradient.
  config.optim = {.learning_rate = 6e38,
                  .beta1 = 0,
                  .epsilon = 3.4e38,
                  .weight_decay = 0,
                  .table_weight_decay = 0,
                  .clip_norm = 0.05};
  config.schedule = {.warmup_frac = 0, .start_frac = 1, .end_frac = 1};
  config.health.max_skipped_steps = 3;
  monitor::RunEvents nobody("pretrain", config.output, /*hook=*/"");
  const util::StopFlag stop;
  const auto result = run_pretrain(
      config, {.stop = stop, .events = nobody, .progress = util::ProgressStyle::kQuiet, .may_change_config = true});
  EXPECT_EQ(result.steps, 8);
  EXPECT_TRUE(contains(log_of(config), "3 steps in a row, up to step 7: back at step 3 with 0.5 of the learning rate"));
  EXPECT_EQ(newest_state(config).rate_factor, 0.5);
  EXPECT_EQ(status_of(config), "finished");
  std::vector<int64_t> steps;
  for (const auto& line : metrics_of(config)) {
    if (line.contains("lr")) {
      steps.push_back(line["step"]);
    }
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(PretrainRollback, WithoutTimeLeftItEndsAndRemembers) {
  for (const int64_t most : {1, 3}) {  // skipped in a row; or found out after the last step
    auto config = diverging_config(cat("run", most));
    config.budget = {.time = "1000s"};
    config.health.max_skipped_steps = most;
    diverge_at_first(config, /*elapsed_seconds=*/1000 - 1e-6);  // the next step, however fast, spends the budget
    const std::string message = message_of<DivergedError>([&] { run(config); });
    EXPECT_TRUE(contains(message, "no time is left to go on from step 1")) << message;
    EXPECT_TRUE(contains(message, most == 1 ? "1 steps in a row, up to step 2" : "after the last step, 2")) << message;
    EXPECT_EQ(status_of(config), "diverged");
    EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(config.output) / "model"));
    EXPECT_GT(newest_state(config).elapsed_seconds, 1000) << "time does not come back in the next session either";
    EXPECT_EQ(newest_state(config).rate_factor, 0.5);
  }
}

TEST_F(PretrainRollback, ASessionThatGoesBehindItsStartStillSaysWhereItRuns) {
  const auto config = diverging_config("run");
  diverge_at_first(config);
  EXPECT_THROW(run(config), DivergedError);
  size_t starts = 0;
  std::istringstream lines(read_bytes(std::filesystem::path(config.output) / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    starts += nlohmann::json::parse(line).value("event", "") == "start" ? 1U : 0U;
  }
  EXPECT_EQ(starts, 2U);
}

TEST_F(PretrainRollback, AStopWhileStepsAreSkippedKeepsWhatTheRunWouldGoBackTo) {
  const auto config = diverging_config("run");
  diverge_at_first(config);
  util::StopFlag stop;
  stop.request(SIGTERM);
  const std::string message = message_of<util::StoppedError>([&] { run(config, stop); });
  EXPECT_TRUE(contains(message, "stopped at step 2 at its last checkpoint, for steps were being skipped")) << message;
  EXPECT_EQ(newest_state(config).step, 1);
}

TEST_F(PretrainRollback, AStatusThatCannotBeWrittenDoesNotReplaceTheError) {
  const auto config = diverging_config("run");
  std::filesystem::create_directories(std::filesystem::path(config.output) / "checkpoints");
  diverge_at_first(config);
  const auto status = std::filesystem::path(config.output) / "status.json";
  std::filesystem::remove(status);
  std::filesystem::create_directories(status / "a folder that is not empty");
  EXPECT_TRUE(contains(message_of<DivergedError>([&] { run(config); }), "with half the learning rate too"));
}

TEST_F(PretrainRollback, AnErrorInAStepLosesNoneBeforeIt) {
  auto documents = documents_;
  documents.push_back(std::string(400, '#') + "\n");  // rows of a piece that the tokenizer does not know
  auto config = config_for("run");
  config.data = pack_folder("unknown", documents);
  config.batch = {.rows = 1, .micro_rows = 1};
  config.budget.steps = 1000;
  config.checkpoint = {.every_steps = 0, .every_time = ""};
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), "no token that can be predicted"));
  const auto last = newest_state(config);
  EXPECT_GT(last.step, 0);
  EXPECT_TRUE(contains(message_of<DataError>([&] { run(config); }), cat("the rows of step ", last.step + 1)));
  EXPECT_EQ(status_of(config), "failed");
}

TEST_F(PretrainRollback, ACheckpointOfAnotherRunBringsNoPlaceInItsMetrics) {
  const auto other = config_for("other");
  run(other);
  const auto third = checkpoint::list_checkpoints(checkpoints_of(other))[3];
  const auto config = config_for("run");
  run(config, {}, {.kind = ResumeChoice::Kind::kPath, .path = third});
  const auto metrics = metrics_of(config);
  forget_after(config, 0);  // killed before its first checkpoint
  std::filesystem::remove(std::filesystem::path(config.output) / "status.json");
  run(config, {}, {.kind = ResumeChoice::Kind::kPath, .path = third});
  EXPECT_EQ(metrics_of(config), metrics);
}

TEST_F(PretrainRollback, AStopAfterResumingFromAPathLeavesThatCheckpointAlone) {
  const auto config = config_for("run");  // two passes per step: a stop comes between them
  run(config);
  const auto third = checkpoint::list_checkpoints(checkpoints_of(config))[3];
  const auto written = std::filesystem::last_write_time(third / "weights.safetensors");
  util::StopFlag stop;
  stop.request(SIGTERM);
  const std::string message =
      message_of<util::StoppedError>([&] { run(config, stop, {.kind = ResumeChoice::Kind::kPath, .path = third}); });
  EXPECT_TRUE(contains(message, "stopped at step 3")) << message;
  EXPECT_TRUE(contains(message, "the same command without --resume continues")) << message;
  EXPECT_EQ(std::filesystem::last_write_time(third / "weights.safetensors"), written);
}

}  // namespace
}  // namespace bertcram::train
