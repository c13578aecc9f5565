// Fine-tuning runs that are interrupted: the best epoch counts all the same, and every bit is that of the uninterrupted run.

#include "train/unit_runner.h"

#include <sys/stat.h>

#include <csignal>
#include <functional>
#include <map>
#include <set>

#include "bertcram/util/error.h"
#include "train/finetune_support.h"
#include "train/pretrained_model.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

constexpr double kAfterEachStep = 0;
constexpr double kNever = 1e9;

/// Ends a run as kill -9 does: nothing is written any more.
struct Killed {};

class UnitRunnerTest : public test::FinetuneTest {
 protected:
  UnitRunnerTest() {
    task_.recipe = {.learning_rate = 3e-2,  // at which the best epoch is seldom the last
                    .batch_examples = kBatch,
                    .epochs = kEpochs,
                    .keep = glue::Keep::kBestEpoch};
  }

  using Interrupt = std::function<void(int64_t examples_done, util::StopFlag& stop)>;

  /// @param examples_done  those of earlier sessions included
  glue::UnitRecord run_interrupted(const std::string& name, int64_t seed, const Interrupt& interrupt,
                                   double save_seconds = kUnitSaveSeconds) {
    util::StopFlag stop;
    UnitRunner runner(finetune_, glue::sane_protocol(), model_, stop);
    examples_.clear();
    int64_t done = 0;
    return runner.run({.task = "sst2", .seed = seed}, task_,
                      {.weights = finetune_.model,
                       .weights_hash = weights_hash_,
                       .folder = scratch_ / name,
                       .keeps_model = true,
                       .save_seconds = save_seconds},
                      runtime_, [&](int64_t examples, Session session) {
                        examples_[session] += examples;
                        done += examples;
                        interrupt(done, stop);
                      });
  }

  glue::UnitRecord run_unit(const std::string& name, int64_t seed, int64_t stop_after = -1) {
    return run_interrupted(name, seed, [&](int64_t done, util::StopFlag& stop) {
      if (stop_after >= 0 && done >= stop_after) {
        stop.request(SIGTERM);
      }
    });
  }

  void kill_unit(const std::string& name, int64_t seed, int64_t after, double save_seconds) {
    const auto kill = [&](int64_t done, util::StopFlag&) {
      if (done >= after) {
        throw Killed();
      }
    };
    EXPECT_THROW(run_interrupted(name, seed, kill, save_seconds), Killed) << name;
  }

  /// Of the only checkpoint that is there.
  int64_t saved_step(const std::string& name) const {
    const auto left = checkpoint::list_checkpoints(checkpoints(name));
    EXPECT_EQ(left.size(), 1U) << name;
    return left.empty() ? -1 : checkpoint::read_state(left.front()).step;
  }

  std::string bytes(const std::string& name) const {
    return test::read_bytes(scratch_ / name / "model/model.safetensors") +
           test::read_bytes(scratch_ / name / "predictions.sst2.tsv");
  }

  fs::path checkpoints(const std::string& name) const { return scratch_ / name / UnitRunner::kCheckpointFolder; }

  std::string weights_hash_;             ///< that the model has to have
  std::map<Session, int64_t> examples_;  ///< that the last run told of
};

/// All but the time that it took.
void expect_same(const glue::UnitRecord& got, const glue::UnitRecord& expected, const std::string& name) {
  EXPECT_EQ(got.epoch, expected.epoch) << name;
  EXPECT_EQ(got.training_examples, expected.training_examples) << name;
  EXPECT_EQ(got.runtime, expected.runtime) << name;
  ASSERT_EQ(got.dev.size(), expected.dev.size()) << name;
  EXPECT_EQ(got.dev[0].metrics, expected.dev[0].metrics) << name;
  EXPECT_EQ(got.dev[0].intervals.at("accuracy").low, expected.dev[0].intervals.at("accuracy").low) << name;
}

TEST_F(UnitRunnerTest, ARunStoppedAnywhereEndsAsIfItHadNot) {
  std::set<int64_t> best_epochs;
  for (int64_t seed = 0; seed < 4; ++seed) {
    const std::string whole = cat("whole-", seed);
    const glue::UnitRecord expected = run_unit(whole, seed);
    best_epochs.insert(expected.epoch);
    EXPECT_TRUE(expected.dev[0].intervals.contains("accuracy"));
    for (int64_t examples = 4; examples < kEpochs * kExamples; examples += 28) {
      const std::string name = cat("stopped-", seed, "-", examples);
      EXPECT_THROW(run_unit(name, seed, examples), util::StoppedError);
      const glue::UnitRecord again = run_unit(name, seed);
      expect_same(again, expected, name);
      EXPECT_TRUE(bytes(name) == bytes(whole)) << name;
    }
  }
  EXPECT_GE(best_epochs.size(), 2U) << "a test of one and the same best epoch sees little";
}

TEST_F(UnitRunnerTest, AKilledRunGoesOnFromWhatItSavedByTime) {
  const glue::UnitRecord expected = run_unit("whole", 0);
  for (int64_t examples = 2 * kBatch; examples < kEpochs * kExamples; examples += 7 * kBatch) {
    const std::string name = cat("killed-", examples);
    kill_unit(name, 0, examples, kAfterEachStep);
    EXPECT_EQ(saved_step(name), examples / kBatch - 1) << "it died before the last step was saved";
    expect_same(run_unit(name, 0), expected, name);
    EXPECT_EQ(examples_[Session::kEarlier], examples - kBatch);
    EXPECT_TRUE(bytes(name) == bytes("whole")) << name;
  }
}

TEST_F(UnitRunnerTest, ARunKilledBeforeTheTimeToSaveBeginsAgain) {
  const glue::UnitRecord expected = run_unit("whole", 0);
  kill_unit("killed", 0, 2 * kExamples + kBatch, kNever);
  EXPECT_TRUE(checkpoint::list_checkpoints(checkpoints("killed")).empty());
  expect_same(run_unit("killed", 0), expected, "killed");
  EXPECT_EQ(examples_[Session::kEarlier], 0);
  EXPECT_TRUE(bytes("killed") == bytes("whole"));
}

// The best epoch is kept when it is seen, the checkpoint is of some time before.
TEST_F(UnitRunnerTest, ABestEpochAheadOfTheCheckpointChangesNothing) {
  int tried = 0;
  for (int64_t seed = 0; seed < 8 && tried == 0; ++seed) {
    const std::string whole = cat("whole-", seed);
    const glue::UnitRecord expected = run_unit(whole, seed);
    if (expected.epoch == 1 || expected.epoch == kEpochs) {
      continue;
    }
    ++tried;
    kill_unit("killed", seed, (expected.epoch - 1) * kExamples + kExamples / 2, kAfterEachStep);
    const int64_t saved = saved_step("killed");
    kill_unit("killed", seed, expected.epoch * kExamples + kBatch, kNever);
    EXPECT_EQ(saved_step("killed"), saved) << "within the best epoch";
    EXPECT_TRUE(fs::exists(checkpoints("killed") / cat("best-epoch-", expected.epoch)));
    expect_same(run_unit("killed", seed), expected, cat("seed ", seed));
    EXPECT_EQ(examples_[Session::kEarlier], saved * kBatch);
    EXPECT_TRUE(bytes("killed") == bytes(whole));
  }
  EXPECT_EQ(tried, 1) << "no seed whose best epoch is neither the first nor the last";
}

// Found by review: rate and time left took all of an interrupted run for the work of the first moment.
TEST_F(UnitRunnerTest, WhatAnEarlierSessionDidIsToldApart) {
  EXPECT_THROW(run_unit("stopped", 0, kExamples + 8), util::StoppedError);
  EXPECT_EQ(examples_[Session::kThis], kExamples + 8);
  EXPECT_EQ(examples_[Session::kEarlier], 0);
  run_unit("stopped", 0);
  EXPECT_EQ(examples_[Session::kEarlier], kExamples + 8);
  EXPECT_EQ(examples_[Session::kThis], kEpochs * kExamples - (kExamples + 8));
}

TEST_F(UnitRunnerTest, ABestEpochThatCannotBeKeptDoesNotEndTheRun) {
  run_unit("whole", 0);
  for (int64_t epoch = 1; epoch <= kEpochs; ++epoch) {
    fs::create_directories(checkpoints("blocked"));
    test::write_bytes(checkpoints("blocked") / cat("best-epoch-", epoch), "a file where a folder should be");
  }
  run_unit("blocked", 0);
  EXPECT_TRUE(bytes("blocked") == bytes("whole"));
}

TEST_F(UnitRunnerTest, ARunWhoseBestEpochIsGoneBeginsAgain) {
  run_unit("whole", 0);
  EXPECT_THROW(run_unit("stopped", 0, 3 * kExamples + 4), util::StoppedError);
  int removed = 0;
  for (int64_t epoch = 1; epoch <= kEpochs; ++epoch) {
    removed += fs::remove_all(checkpoints("stopped") / cat("best-epoch-", epoch)) > 0 ? 1 : 0;
  }
  EXPECT_EQ(removed, 1) << "of the best so far alone";
  EXPECT_THROW(run_unit("stopped", 0, 0), util::StoppedError);  // begins at its first step, and stops there
  const auto left = checkpoint::list_checkpoints(checkpoints("stopped"));
  ASSERT_EQ(left.size(), 1U);
  EXPECT_LT(checkpoint::read_state(left.front()).step, kExamples / 4);
  run_unit("stopped", 0);
  EXPECT_TRUE(bytes("stopped") == bytes("whole"));
}

TEST_F(UnitRunnerTest, ADamagedCheckpointDoesNotCostTheLaterOnes) {
  task_.recipe.keep = glue::Keep::kLastEpoch;
  run_unit("whole", 0);
  EXPECT_THROW(run_unit("stopped", 0, 3 * kExamples), util::StoppedError);
  const auto damaged = checkpoint::list_checkpoints(checkpoints("stopped"));
  ASSERT_EQ(damaged.size(), 1U);
  test::write_bytes(damaged.front() / "weights.safetensors", "damaged");
  EXPECT_THROW(run_unit("stopped", 0, kExamples), util::StoppedError);  // begins again, and stops earlier
  const auto left = checkpoint::list_checkpoints(checkpoints("stopped"));
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(checkpoint::read_state(left.front()).step, kExamples / 4);
  run_unit("stopped", 0);
  EXPECT_TRUE(bytes("stopped") == bytes("whole"));
}

TEST_F(UnitRunnerTest, ACheckpointThatCannotBeReadIsNotThrownAway) {
  EXPECT_THROW(run_unit("stopped", 0, kExamples), util::StoppedError);
  const fs::path newest = checkpoint::list_checkpoints(checkpoints("stopped")).front();
  fs::rename(newest / "weights.safetensors", newest / "aside");
  fs::create_symlink("weights.safetensors", newest / "weights.safetensors");  // "too many levels"
  EXPECT_THROW(run_unit("stopped", 0), UnreadableError);
  EXPECT_EQ(checkpoint::list_checkpoints(checkpoints("stopped")).front(), newest);
}

// Found by review: a disk that fails for a moment cost all epochs.
TEST_F(UnitRunnerTest, ABestEpochThatCannotBeReadIsNotThrownAway) {
  run_unit("whole", 0);
  EXPECT_THROW(run_unit("stopped", 0, 3 * kExamples + 4), util::StoppedError);
  const auto before = checkpoint::list_checkpoints(checkpoints("stopped"));
  int64_t epoch = 1;
  while (epoch < kEpochs && !fs::exists(checkpoints("stopped") / cat("best-epoch-", epoch))) {
    ++epoch;
  }
  const fs::path weights = checkpoints("stopped") / cat("best-epoch-", epoch) / "model.safetensors";
  const fs::path aside = weights.parent_path() / "aside";
  fs::rename(weights, aside);
  ASSERT_EQ(::mknod(weights.c_str(), S_IFSOCK | S_IRUSR, 0), 0) << "a socket: there, and not to be opened";
  EXPECT_THROW(run_unit("stopped", 0), UnreadableError);
  EXPECT_EQ(checkpoint::list_checkpoints(checkpoints("stopped")), before);
  fs::rename(aside, weights);
  run_unit("stopped", 0);
  EXPECT_TRUE(bytes("stopped") == bytes("whole"));
}

TEST_F(UnitRunnerTest, AModelThatHasChangedSinceIsRefused) {
  weights_hash_ = open_pretrained_model(finetune_.model).weights_hash;
  run_unit("whole", 0);
  const fs::path weights = fs::path(finetune_.model) / "model.safetensors";
  const std::string before = test::read_bytes(weights);
  std::string other = before;
  other.back() = static_cast<char>(other.back() ^ 1);
  for (const std::string& bytes : {other, before.substr(0, before.size() / 2)}) {
    test::write_bytes(weights, bytes);
    EXPECT_THROW(run_unit("other", 0), ModelChangedError);
  }
  fs::remove(weights);
  EXPECT_THROW(run_unit("gone", 0), ModelChangedError);
  test::write_bytes(weights, before);
  run_unit("again", 0);
  EXPECT_TRUE(bytes("again") == bytes("whole"));
}

TEST_F(UnitRunnerTest, AStopThatCannotSaveSaysSo) {
  fs::create_directories(scratch_ / "stopped");
  test::write_bytes(checkpoints("stopped"), "a file where a folder should be");
  EXPECT_THROW(run_unit("stopped", 0, kExamples), ResourceError);
}

TEST_F(UnitRunnerTest, ARecordSaysHowBatchesWereDivided) {
  EXPECT_TRUE(run_unit("whole", 0).runtime.ends_with(", passes of 4 rows"));
  finetune_.micro_rows = 2;
  EXPECT_TRUE(run_unit("divided", 0).runtime.ends_with(", passes of 2 rows"));
}

}  // namespace
}  // namespace bertcram::train
