// A run resumes bit for bit, whatever ended it.

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/train/pretrainer.h"
#include "train/pretrain_support.h"

namespace bertcram::train {
namespace {

using test::read_bytes;

class PretrainResume : public test::PretrainTest {
 protected:
  /// One pass per step, which a stop does not cut short.
  config::PretrainConfig one_pass_config(const std::string& name) const {
    auto config = config_for(name, GetParam());
    config.batch.micro_rows = config.batch.rows;
    return config;
  }
};
INSTANTIATE_TEST_SUITE_P(Fp32AndBf16, PretrainResume,
                         ::testing::Values(config::Precision::kFp32, config::Precision::kBf16),
                         [](const auto& chosen) { return chosen.param == config::Precision::kFp32 ? "fp32" : "bf16"; });

TEST_P(PretrainResume, ARunThatWasCutOffAnywhereEndsInTheSameBytes) {
  const auto whole = config_for("whole", GetParam());
  run(whole);
  const std::string expected = weights_of(whole);
  const auto expected_metrics = metrics_of(whole);
  ASSERT_FALSE(expected.empty());
  for (const int64_t steps : {5, 3, 1, 0}) {
    const auto cut = config_for(cat("cut", steps), GetParam());
    run(cut);
    forget_after(cut, steps);
    EXPECT_EQ(run(cut).steps, 6);
    EXPECT_TRUE(weights_of(cut) == expected) << "cut after " << steps;
    EXPECT_EQ(metrics_of(cut), expected_metrics) << "cut after " << steps;
  }
}

/// What happens to files, whatever the number format.
using PretrainFilesResume = test::PretrainTest;

struct Variant {
  const char* name;
  config::Arch arch;
  config::Objective objective;
  bool recompute;
};

/// What is trained otherwise than by default.
class PretrainVariantsResume : public test::PretrainTest {
 protected:
  config::PretrainConfig variant_config(const std::string& name, const Variant& variant) const {
    auto config = config_for(name, GetParam());
    config.model.arch = variant.arch;
    config.model.global_every = 2;
    config.model.local_attention = 4;
    config.objective = variant.objective;
    config.batch.recompute = variant.recompute;
    return config;
  }

  static constexpr Variant kVariants[] = {
      {"modern", config::Arch::kModern, config::Objective::kMlm, false},
      {"rtd-bert", config::Arch::kBert, config::Objective::kRtd, false},
      {"rtd-modern-recomputed", config::Arch::kModern, config::Objective::kRtd, true}};
};
INSTANTIATE_TEST_SUITE_P(Fp32AndBf16, PretrainVariantsResume,
                         ::testing::Values(config::Precision::kFp32, config::Precision::kBf16),
                         [](const auto& chosen) { return chosen.param == config::Precision::kFp32 ? "fp32" : "bf16"; });

TEST_P(PretrainVariantsResume, ARunThatWasCutOffAnywhereEndsInTheSameBytes) {
  for (const Variant& variant : kVariants) {
    SCOPED_TRACE(variant.name);
    const auto whole = variant_config(cat(variant.name, "-whole"), variant);
    run(whole);
    const std::string expected = weights_of(whole);
    for (const int64_t steps : {4, 1}) {
      const auto cut = variant_config(cat(variant.name, "-cut", steps), variant);
      run(cut);
      forget_after(cut, steps);
      EXPECT_EQ(run(cut).steps, 6);
      EXPECT_TRUE(weights_of(cut) == expected) << "cut after " << steps;
      EXPECT_EQ(metrics_of(cut), metrics_of(whole)) << "cut after " << steps;
    }
  }
}

TEST_P(PretrainVariantsResume, RecomputationTrainsTheSameBytes) {
  for (const Variant& variant : kVariants) {
    auto kept = variant_config(cat(variant.name, "-kept"), variant);
    auto recomputed = variant_config(cat(variant.name, "-recomputed"), variant);
    kept.batch.recompute = false;
    recomputed.batch.recompute = true;
    run(kept);
    run(recomputed);
    EXPECT_TRUE(weights_of(kept) == weights_of(recomputed)) << variant.name;
  }
}

// A kill between the two leaves a run whose budget is spent and whose last model is missing.
TEST_F(PretrainFilesResume, AGeneratorThatIsMissingOrDamagedIsWrittenAgain) {
  auto config = config_for("run");
  config.model.arch = config::Arch::kBert;
  config.objective = config::Objective::kRtd;
  run(config);
  const std::string weights = weights_of(config);
  const auto generator = std::filesystem::path(config.output) / "generator";
  std::filesystem::remove_all(generator);
  run(config);
  EXPECT_TRUE(weights_of(config) == weights);
  test::write_bytes(generator / "model.safetensors", "nothing");
  run(config);
  EXPECT_TRUE(weights_of(config) == weights);
}

TEST_P(PretrainResume, AStoppedRunContinuesToTheSameBytes) {
  const auto whole = one_pass_config("whole");
  run(whole);
  const auto stopped = one_pass_config("stopped");
  run(stopped);
  forget_after(stopped, 1);
  for (int64_t step = 2; step <= 6; ++step) {
    util::StopFlag stop;
    stop.request(SIGTERM);  // before it starts: each session does one step, writes a checkpoint and ends
    try {
      run(stopped, stop);
      FAIL() << "not stopped";
    } catch (const util::StoppedError& error) {
      EXPECT_EQ(static_cast<int>(error.code()), 143);
    }
    EXPECT_EQ(checkpoint::read_state(checkpoint::list_checkpoints(checkpoints_of(stopped))[0]).step, step);
  }
  EXPECT_TRUE(weights_of(stopped) == weights_of(whole)) << "the model as it is, though the last evaluation is due";
  run(stopped);
  EXPECT_TRUE(weights_of(stopped) == weights_of(whole));
  EXPECT_EQ(metrics_of(stopped).back(), metrics_of(whole).back()) << "the last evaluation";
}

TEST_P(PretrainResume, AnEvaluationThatAStopCutOffIsMadeUpFor) {
  const auto whole = one_pass_config("whole");
  run(whole);
  const auto stopped = one_pass_config("stopped");
  run(stopped);
  forget_after(stopped, 1);
  util::StopFlag stop;
  stop.request(SIGTERM);
  EXPECT_THROW(run(stopped, stop), util::StoppedError);  // after step 2, when an evaluation is due
  EXPECT_EQ(metrics_of(stopped).size(), 2U);
  run(stopped);
  EXPECT_EQ(metrics_of(stopped), metrics_of(whole));
}

TEST_P(PretrainResume, AStopBetweenTwoPassesGivesTheStepUp) {
  const auto whole = config_for("whole", GetParam());  // two passes per step
  run(whole);
  const auto stopped = config_for("stopped", GetParam());
  run(stopped);
  forget_after(stopped, 3);
  const auto saved = checkpoint::list_checkpoints(checkpoints_of(stopped)).front();
  const std::string before = read_bytes(saved / "weights.safetensors");
  util::StopFlag stop;
  stop.request(SIGTERM);
  EXPECT_THROW(run(stopped, stop), util::StoppedError);
  EXPECT_EQ(checkpoint::list_checkpoints(checkpoints_of(stopped)).front(), saved);
  EXPECT_TRUE(read_bytes(saved / "weights.safetensors") == before);
  run(stopped);
  EXPECT_TRUE(weights_of(stopped) == weights_of(whole));
}

TEST_F(PretrainFilesResume, AFinishedRunWhoseModelIsDamagedWritesItAgain) {
  const auto config = config_for("run");
  run(config);
  const auto model = std::filesystem::path(config.output) / "model";
  const std::string weights = weights_of(config);
  for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"}) {
    SCOPED_TRACE(file);
    const std::string content = read_bytes(model / file);
    std::string damaged = content;
    damaged[damaged.size() / 2] ^= 0x10;
    test::write_bytes(model / file, damaged);
    run(config);
    EXPECT_TRUE(read_bytes(model / file) == content);
    std::filesystem::remove(model / file);
    run(config);
    EXPECT_TRUE(read_bytes(model / file) == content);
  }
  EXPECT_TRUE(weights_of(config) == weights);
}

TEST_F(PretrainFilesResume, ALogThatSomebodyRemovedIsMadeAgainAndTheRunGoesOn) {
  const auto whole = config_for("whole");
  run(whole);
  for (const char* name : {"metrics.jsonl", "config.yaml"}) {
    SCOPED_TRACE(name);
    const auto config = config_for(cat("without-", name));
    run(config);
    const std::filesystem::path folder = config.output;
    const std::string settings = read_bytes(folder / "config.yaml");
    test::write_bytes(folder / "notes.txt", "of the user");
    forget_after(config, 3);
    std::filesystem::remove(folder / name);
    EXPECT_EQ(run(config).steps, 6);
    EXPECT_TRUE(weights_of(config) == weights_of(whole));
    EXPECT_EQ(read_bytes(folder / "config.yaml"), settings);
    EXPECT_EQ(metrics_of(config).front().at("step"), name == std::string_view("metrics.jsonl") ? 4 : 1);
    std::filesystem::remove(folder / name);
    run(config);  // has nothing to train
    EXPECT_TRUE(std::filesystem::exists(folder / name));
  }
}

// The budget is more than a thread ever has to wait for its turn, so that the stop always lands; as nothing depends on the
// share of the budget, a run that is to end where it landed takes the same steps.
TEST_F(PretrainFilesResume, AStopFromAnotherThreadLosesNothing) {
  const auto of_steps = [&](const char* name, int64_t steps) {
    auto config = config_for(name);
    config.schedule = {.warmup_frac = 0, .hold_frac = 1};
    config.checkpoint.every_steps = 0;
    config.budget.steps = steps;
    return config;
  };
  const auto has_steps = [](const std::filesystem::path& metrics) {
    return std::filesystem::exists(metrics) && test::contains(read_bytes(metrics), "\"lr\"");
  };
  auto stopped = of_steps("stopped", 200'000);
  util::StopFlag stop;
  {
    const std::jthread stopper([&](const std::stop_token& is_over) {
      while (!is_over.stop_requested() && !has_steps(std::filesystem::path(stopped.output) / "metrics.jsonl")) {
        std::this_thread::yield();
      }
      stop.request(SIGINT);
    });
    EXPECT_THROW(run(stopped, stop), util::StoppedError);
  }
  const auto saved = checkpoint::list_checkpoints(checkpoints_of(stopped));
  ASSERT_FALSE(saved.empty());
  const int64_t landed = checkpoint::read_state(saved[0]).step;
  ASSERT_GE(landed, 1);
  const auto as_far = of_steps("as-far", landed);
  run(as_far);
  EXPECT_TRUE(weights_of(stopped) == weights_of(as_far)) << "stopped after " << landed;
  const auto further = of_steps("further", landed + 4);
  run(further);
  stopped.budget.steps = landed + 4;
  monitor::RunEvents nobody("pretrain", stopped.output, /*hook=*/"");
  const util::StopFlag go_on;
  run_pretrain(stopped,
               {.stop = go_on, .events = nobody, .progress = util::ProgressStyle::kQuiet, .may_change_config = true});
  EXPECT_TRUE(weights_of(stopped) == weights_of(further)) << "stopped after " << landed;
}

TEST_F(PretrainFilesResume, ADamagedCheckpointIsSkippedAndReplaced) {
  const auto whole = config_for("whole");
  run(whole);
  for (const char* file :
       {"weights.safetensors", "second_moments.safetensors", "state.json", "first_moments.safetensors"}) {
    const auto damaged = config_for(cat("damaged-", file));
    run(damaged);
    forget_after(damaged, 4);
    const auto newest = checkpoint::list_checkpoints(checkpoints_of(damaged))[0];
    if (file == std::string_view("first_moments.safetensors")) {
      std::filesystem::remove(newest / file);
    } else {
      test::write_bytes(newest / file, read_bytes(newest / file).substr(1));
    }
    run(damaged);
    EXPECT_TRUE(weights_of(damaged) == weights_of(whole)) << file;
    EXPECT_NO_THROW(checkpoint::read_state(newest)) << file;
  }
}

/// Only the content may be damaged; what cannot be read now may be fine tomorrow.
TEST_F(PretrainFilesResume, AnUnreadableCheckpointIsNotTakenForADamagedOne) {
  const auto config = config_for("run");
  run(config);
  forget_after(config, 4);
  const auto newest = checkpoint::list_checkpoints(checkpoints_of(config))[0];
  std::filesystem::rename(newest / "weights.safetensors", newest / "aside");
  std::filesystem::create_symlink("weights.safetensors", newest / "weights.safetensors");  // "too many levels"
  EXPECT_THROW(run(config), UnreadableError);
  EXPECT_EQ(checkpoint::list_checkpoints(checkpoints_of(config))[0], newest);
}

TEST_F(PretrainFilesResume, WithNothingButDamagedCheckpointsARunIsRefusedUntilTheyAreRemoved) {
  const auto whole = config_for("whole");
  run(whole);
  const auto damaged = config_for("damaged");
  run(damaged);
  forget_after(damaged, 1);
  const auto only = checkpoint::list_checkpoints(checkpoints_of(damaged))[0];
  test::write_bytes(only / "second_moments.safetensors", "nothing");
  EXPECT_THROW(run(damaged), DataError);
  std::filesystem::remove_all(checkpoints_of(damaged));
  run(damaged);
  EXPECT_TRUE(weights_of(damaged) == weights_of(whole));
}

TEST_P(PretrainResume, TheSameSeedGivesTheSameBytesAndAnotherOthers) {
  const auto first = config_for("first", GetParam());
  const auto second = config_for("second", GetParam());
  auto other = config_for("other", GetParam());
  other.seed = 5;
  run(first);
  run(second);
  run(other);
  EXPECT_TRUE(weights_of(first) == weights_of(second));
  EXPECT_FALSE(weights_of(first) == weights_of(other));
}

}  // namespace
}  // namespace bertcram::train
