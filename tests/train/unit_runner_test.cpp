// Fine-tuning runs that are interrupted: the best epoch counts all the same, and every bit is that of the uninterrupted run.

#include "train/unit_runner.h"

#include <sys/stat.h>

#include <csignal>
#include <map>
#include <set>

#include "bertcram/util/error.h"
#include "train/pretrain_support.h"
#include "train/pretrained_model.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kEpochs = 6;
constexpr int kExamples = 24;

class UnitRunnerTest : public test::PretrainTest {
 protected:
  UnitRunnerTest() {
    const auto config = config_for("pretrained");
    run(config);
    finetune_.model = config.output + "/model";
    model_ = checkpoint::open_model_directory(finetune_.model);
    runtime_ = set_up_runtime(config.runtime);
    task_.spec = glue::find_task("sst2");
    task_.recipe = {.learning_rate = 3e-2,  // at which the best epoch is seldom the last
                    .batch_examples = 4,
                    .epochs = kEpochs,
                    .keep = glue::Keep::kBestEpoch};
    task_.max_tokens = 16;
    task_.train = split(kExamples, 1);
    task_.dev = {{.judge = task_.spec, .split = split(40, 2)}};
  }

  EncodedSplit split(int size, uint64_t seed) const {
    glue::Dataset dataset = {.labelling = glue::Labelling::kLabelled};
    const auto texts = test::random_documents(seed, size);
    for (int i = 0; i < size; ++i) {
      const std::string text = texts[static_cast<size_t>(i)].substr(0, 30);
      dataset.examples.push_back({.text_a = text, .label = text[3] % 2, .line = i + 1});
    }
    return encode_split(std::move(dataset), "sst2", *model_.tokenizer, 16);
  }

  glue::UnitRecord run_unit(const std::string& name, int64_t seed, int64_t stop_after = -1) {
    util::StopFlag stop;
    UnitRunner runner(finetune_, glue::sane_protocol(), model_, stop);
    examples_.clear();
    int64_t done = 0;
    return runner.run(
        {.task = "sst2", .seed = seed}, task_,
        {.weights = finetune_.model, .weights_hash = weights_hash_, .folder = scratch_ / name, .keeps_model = true},
        runtime_, [&](int64_t examples, Session session) {
          examples_[session] += examples;
          done += examples;
          if (stop_after >= 0 && done >= stop_after) {
            stop.request(SIGTERM);
          }
        });
  }

  std::string bytes(const std::string& name) const {
    return test::read_bytes(scratch_ / name / "model/model.safetensors") +
           test::read_bytes(scratch_ / name / "predictions.sst2.tsv");
  }

  fs::path checkpoints(const std::string& name) const { return scratch_ / name / UnitRunner::kCheckpointFolder; }

  config::FinetuneConfig finetune_;
  std::string weights_hash_;  ///< that the model has to have
  checkpoint::ModelDirectory model_;
  Runtime runtime_;
  LoadedTask task_;
  std::map<Session, int64_t> examples_;  ///< that the last run told of
};

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
      EXPECT_EQ(again.epoch, expected.epoch) << name;
      EXPECT_EQ(again.dev[0].metrics, expected.dev[0].metrics) << name;
      EXPECT_EQ(again.dev[0].intervals.at("accuracy").low, expected.dev[0].intervals.at("accuracy").low) << name;
      EXPECT_TRUE(bytes(name) == bytes(whole)) << name;
    }
  }
  EXPECT_GE(best_epochs.size(), 2U) << "a test of one and the same best epoch sees little";
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
