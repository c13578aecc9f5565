// When a run is saved, and what happens when it cannot be.

#include "train/checkpointing.h"

#include "bertcram/model/parameter_specs.h"
#include "bertcram/util/error.h"
#include "nn/tensor_support.h"
#include "train/pretrain_support.h"
#include "train/run_data.h"
#include "util/log_file.h"

namespace bertcram::train {
namespace {

class CheckpointingTest : public test::PretrainTest {
 protected:
  CheckpointingTest()
      : config_(config_for("run")),
        data_(scratch_ / "packed"),
        runtime_(set_up_runtime(config_.runtime)),
        shape_(model::make_shape(config_.model, data_.manifest.vocab_size, data_.tokenizer->special().pad)),
        state_(config_, shape_, runtime_) {}

  /// The run went on.
  void at(int64_t step, double seconds) {
    state_.position.step = step;
    state_.position.elapsed_seconds = seconds;
  }
  std::vector<int64_t> saved_steps() const {
    std::vector<int64_t> steps;
    for (const auto& checkpoint : checkpoint::list_checkpoints(folder_)) {
      steps.push_back(checkpoint::read_state(checkpoint).step);
    }
    return steps;
  }

  config::PretrainConfig config_;
  RunData data_;
  Runtime runtime_;
  model::EncoderShape shape_;
  TrainingState state_;
  std::filesystem::path folder_ = scratch_ / "checkpoints";
};

TEST_F(CheckpointingTest, IsDueByStepsAlsoWhenTheStepItselfWasMissed) {
  config_.checkpoint = {.every_steps = 10, .every_time = "", .keep = 9};
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  at(9, 1);
  EXPECT_FALSE(checkpoints.is_due());
  at(11, 1);
  EXPECT_TRUE(checkpoints.is_due());
  checkpoints.save_in_background();
  EXPECT_FALSE(checkpoints.is_due());
  at(19, 1e6);
  EXPECT_FALSE(checkpoints.is_due()) << "by steps alone";
  at(20, 1e6);
  EXPECT_TRUE(checkpoints.is_due());
}

TEST_F(CheckpointingTest, IsDueByTheTimeSinceTheLast) {
  config_.checkpoint = {.every_steps = 0, .every_time = "15m", .keep = 9};
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  at(7, 1000);
  checkpoints.starts_here(/*is_saved=*/true);
  at(8, 1899);
  EXPECT_FALSE(checkpoints.is_due());
  at(9, 1901);
  EXPECT_TRUE(checkpoints.is_due());
}

TEST_F(CheckpointingTest, IsDueWhereTheBestWasMeasuredIfThatIsKept) {
  config_.checkpoint = {.every_steps = 0, .every_time = "", .keep = 9, .keep_best = true};
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  at(5, 1);
  checkpoints.after_evaluation(4.0);
  EXPECT_TRUE(checkpoints.is_due());
  checkpoints.save_in_background();
  at(6, 1);
  EXPECT_FALSE(checkpoints.is_due());
  checkpoints.after_evaluation(4.1);
  EXPECT_FALSE(checkpoints.is_due());
  checkpoints.after_evaluation(3.9);
  EXPECT_TRUE(checkpoints.is_due());
  config_.checkpoint.keep_best = false;
  Checkpointing careless(config_.checkpoint, folder_, state_);
  careless.after_evaluation(1.0);
  EXPECT_FALSE(careless.is_due());
}

TEST_F(CheckpointingTest, TheBestIsNoLongerWhatWasGivenUpOrNotWritten) {
  config_.checkpoint = {.every_steps = 0, .every_time = "", .keep = 9, .keep_best = true};
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  at(5, 1);
  checkpoints.after_evaluation(3.0);
  checkpoints.starts_here(/*is_saved=*/false);
  EXPECT_FALSE(checkpoints.is_due()) << "it went back from there";
  checkpoints.after_evaluation(3.1);
  EXPECT_TRUE(checkpoints.is_due());
  scratch_.write("checkpoints", "a file where the folder should be");
  checkpoints.save_in_background();
  checkpoints.finish_writing();
  std::filesystem::remove(folder_);
  at(6, 1000);
  checkpoints.save_in_background();
  checkpoints.finish_writing();
  EXPECT_EQ(saved_steps(), (std::vector<int64_t>{6}));
  at(7, 1001);
  checkpoints.after_evaluation(3.2);
  EXPECT_TRUE(checkpoints.is_due()) << "that of 3.1 was not written";
}

TEST(RetentionOf, IsWhatTheConfigurationSays) {
  const auto usual = retention_of({.keep = 2});
  EXPECT_EQ(usual.newest, 2);
  EXPECT_FALSE(usual.best);
  EXPECT_EQ(usual.every_seconds, 0.0);
  const auto all = retention_of({.keep = 3, .keep_best = true, .keep_every = "2h"});
  EXPECT_EQ(all.newest, 3);
  EXPECT_TRUE(all.best);
  EXPECT_EQ(all.every_seconds, 7200.0);
}

TEST_F(CheckpointingTest, TheFirstOfEachStretchOfTimeStays) {
  config_.checkpoint = {.every_steps = 1, .every_time = "", .keep = 1, .keep_every = "1h"};
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  const std::vector<double> seconds = {100, 3500, 3700, 3800, 7300, 7400};
  for (size_t i = 0; i < seconds.size(); ++i) {
    at(static_cast<int64_t>(i) + 1, seconds[i]);
    checkpoints.save_now();
  }
  EXPECT_EQ(saved_steps(), (std::vector<int64_t>{6, 5, 3})) << "of the first hour none, and the newest";
}

TEST_F(CheckpointingTest, WritesInTheBackgroundWhatTheStateWas) {
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  at(3, 1);
  const at::Tensor& embeddings = state_.parameters.master_leaf(model::word_embeddings_name(shape_.arch));
  const at::Tensor before = embeddings.detach().clone();
  checkpoints.save_in_background();
  state_.parameters.masters().fill_(9.0);
  at(4, 2);
  checkpoints.finish_writing();
  EXPECT_EQ(saved_steps(), (std::vector<int64_t>{3}));
  state_.load(checkpoint::list_checkpoints(folder_).at(0));
  EXPECT_TRUE(test::same_bits(embeddings.detach(), before));
  EXPECT_EQ(state_.position.step, 3);
}

TEST_F(CheckpointingTest, AFailureIsTriedAgainAfterAMinuteAndThrowsOnlyWhereTheRunEnds) {
  config_.checkpoint = {.every_steps = 1, .every_time = "", .keep = 9};
  scratch_.write("checkpoints", "a file where the folder should be");
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  at(1, 100);
  EXPECT_NO_THROW(checkpoints.save_in_background());
  at(2, 159);
  EXPECT_FALSE(checkpoints.is_due());
  EXPECT_THROW(checkpoints.save_now(), Error);
  std::filesystem::remove(folder_);
  at(3, 161);
  EXPECT_TRUE(checkpoints.is_due());
  checkpoints.save_in_background();
  checkpoints.finish_writing();
  EXPECT_EQ(saved_steps(), (std::vector<int64_t>{3}));
  at(4, 162);
  EXPECT_TRUE(checkpoints.is_due()) << "as usual again";
}

TEST_F(CheckpointingTest, OfTheSameStepOnlyTheStateIsWrittenAgain) {
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  at(3, 1);
  checkpoints.save_now();
  const auto weights = checkpoint::list_checkpoints(folder_).at(0) / "weights.safetensors";
  const auto written = std::filesystem::last_write_time(weights);
  state_.position.metrics_bytes = 77;
  checkpoints.save_now();
  EXPECT_EQ(std::filesystem::last_write_time(weights), written);
  EXPECT_EQ(checkpoint::read_state(weights.parent_path()).metrics_bytes, 77);
  std::filesystem::remove(weights.parent_path() / "state.json");  // damaged meanwhile
  checkpoints.save_now();
  EXPECT_EQ(saved_steps(), (std::vector<int64_t>{3}));
  EXPECT_NO_THROW(state_.load(weights.parent_path()));
}

TEST_F(CheckpointingTest, WhatFailsBeforeItIsBegunForgetsNoEarlierOne) {
  const test::LogFile log;
  config_.checkpoint = {.every_steps = 0, .every_time = "", .keep = 9, .keep_best = true};
  Checkpointing checkpoints(config_.checkpoint, folder_, state_);
  std::filesystem::create_directories(folder_ / ".partial-step-0000000002");  // an interrupted write
  const auto save_in_vain = [&] {
    using enum std::filesystem::perms;
    const auto readable = owner_read | owner_exec | group_read | group_exec | others_read | others_exec;
    std::filesystem::permissions(folder_, readable);
    {
      const test::OrdinaryUser user(scratch_);
      checkpoints.save_in_background();  // finds that it cannot be removed
    }
    std::filesystem::permissions(folder_, readable | owner_write);
  };
  at(3, 1);
  save_in_vain();
  EXPECT_EQ(log.count_of("no checkpoint of step 3: "), 1U) << log.text();
  at(5, 100);
  checkpoints.after_evaluation(3.0);
  checkpoints.save_in_background();
  checkpoints.finish_writing();
  std::filesystem::create_directories(folder_ / ".partial-step-0000000002");
  at(6, 200);
  checkpoints.after_evaluation(3.5);
  save_in_vain();
  EXPECT_EQ(log.count_of("no checkpoint of step 6: "), 1U) << log.text();
  EXPECT_EQ(log.count_of("no checkpoint of step "), 2U) << log.text();
  at(7, 300);
  checkpoints.save_in_background();
  checkpoints.finish_writing();
  EXPECT_EQ(saved_steps(), (std::vector<int64_t>{7, 5}));
  at(8, 301);
  checkpoints.after_evaluation(3.2);
  EXPECT_FALSE(checkpoints.is_due()) << "that of 3.0 is there";

  std::filesystem::create_directories(folder_ / ".partial-step-0000000002");
  checkpoints.after_evaluation(2.5);
  save_in_vain();
  at(9, 400);
  checkpoints.save_in_background();
  checkpoints.finish_writing();
  at(10, 401);
  checkpoints.after_evaluation(2.8);
  EXPECT_TRUE(checkpoints.is_due()) << "that of 2.5 is not";
}

}  // namespace
}  // namespace bertcram::train
