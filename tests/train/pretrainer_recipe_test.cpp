// Recipes whose batch, masking and optimizer differ from the default, and runs that go wrong or change on their way.

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "bertcram/checkpoint/checkpoint.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "nn/kernels/linear_bf16.h"
#include "nn/with_fusing.h"
#include "train/pretrain_support.h"

namespace bertcram::train {
namespace {

using config::Precision;
using config::PretrainConfig;
using test::contains;
using test::message_of;

class PretrainRecipe : public test::PretrainTest {
 protected:
  PretrainConfig changing_config(const std::string& name, Precision precision = Precision::kFp32) const {
    auto config = config_for(name, precision);
    config.batch = {.rows = 8, .start_rows = 2, .ramp_frac = 0.7, .micro_rows = 3};
    config.mask = {.mask_prob = 0.4, .end_mask_prob = 0.1};
    config.schedule = {.warmup_frac = 0.2, .hold_frac = 0.4, .anneal = config::Anneal::kSqrt};
    config.optim.algorithm = config::Algorithm::kMuon;
    return config;
  }

  util::StopFlag stop_;

  static std::string log_of(const PretrainConfig& config) {
    return test::read_bytes(std::filesystem::path(config.output) / "run.log");
  }
};

TEST_F(PretrainRecipe, BatchMaskingAndRateFollowTheBudget) {
  const auto config = changing_config("run");
  EXPECT_EQ(run(config).tokens, (2 + 2 + 4 + 6 + 6 + 8) * 16);
  std::vector<double> rates;
  for (const auto& line : metrics_of(config)) {
    if (line.contains("lr")) {
      rates.push_back(line["lr"].get<double>() / config.optim.learning_rate);
    }
  }
  ASSERT_EQ(rates.size(), 6U);
  EXPECT_NEAR(rates[0], (0.5 / 6) / 0.2, 1e-12);
  EXPECT_EQ(rates[2], 1.0);
  EXPECT_NEAR(rates[5], 1 - std::sqrt((5.5 / 6 - 0.6) / 0.4), 1e-12);
}

// The kernels round in other places than LibTorch's operations: the curves lie on each other, not bit for bit.
TEST_F(PretrainRecipe, LearnsTheSameWithAndWithoutFusedOperations) {
  if (!nn::kernels::has_avx512_bf16()) {
    GTEST_SKIP() << "this processor has no AVX-512 BF16";
  }
  const auto losses = [&](bool is_fused) {
    const test::WithFusing fusing(is_fused ? nn::Fusing::kEverywhere : nn::Fusing::kOff);
    auto config = config_for(is_fused ? "fused" : "plain", Precision::kBf16);
    config.model.hidden = 64;  // with two heads of 32 the sizes that the kernels take
    config.model.ffn = 64;
    config.batch = {.rows = 16, .micro_rows = 8};
    config.model.word_embeddings = config::WordEmbeddingStart::kRandom;  // so that there is something to learn
    config.model.unigram_bias = false;
    config.optim.learning_rate = 5e-3;
    config.budget.steps = 100;
    run(config);
    std::vector<double> found;
    for (const auto& line : metrics_of(config)) {
      if (line.contains("loss")) {
        found.push_back(line["loss"].get<double>());
      }
    }
    return found;
  };
  const auto fused = losses(true);
  const auto plain = losses(false);
  ASSERT_EQ(fused.size(), 100U);
  const auto mean = [](const std::vector<double>& values, size_t first) {
    return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(first),
                           values.begin() + static_cast<std::ptrdiff_t>(first) + 20, 0.0) /
           20;
  };
  EXPECT_LT(mean(fused, 80), mean(fused, 0) - 0.1) << "it learns";
  for (size_t first = 0; first < 100; first += 20) {
    EXPECT_NEAR(mean(fused, first), mean(plain, first), 0.03) << first;
  }
  EXPECT_NE(fused, plain) << "the kernels were used";
}

TEST_F(PretrainRecipe, ARunThatWasCutOffEndsInTheSameBytes) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kFp16}) {
    const auto whole = changing_config("whole", precision);
    run(whole);
    for (const int64_t steps : {4, 1}) {
      const auto cut = changing_config("cut", precision);
      run(cut);
      forget_after(cut, steps);
      run(cut);
      EXPECT_TRUE(weights_of(cut) == weights_of(whole)) << "cut after " << steps;
      EXPECT_EQ(metrics_of(cut), metrics_of(whole)) << "cut after " << steps;
      std::filesystem::remove_all(cut.output);
    }
    std::filesystem::remove_all(whole.output);
  }
}

TEST_F(PretrainRecipe, ARunThatDivergesGoesBackOnceWithHalfTheRateAndThenEnds) {
  auto config = config_for("run");
  config.budget.steps = 40;
  config.optim = {.learning_rate = 1e30, .clip_norm = 0};  // the weights of step 1 are numbers, its logits are not
  config.schedule = {.warmup_frac = 0, .start_frac = 1};
  config.health.max_skipped_steps = 3;
  const std::string message = message_of<DivergedError>([&] { run(config); });
  EXPECT_TRUE(contains(message, "3 steps in a row, up to step 4, with half the learning rate too")) << message;
  EXPECT_TRUE(contains(message, "start again with a lower optim.learning_rate")) << message;
  EXPECT_TRUE(contains(log_of(config), "back at step 1 with 0.5 of the learning rate"));
  EXPECT_TRUE(contains(log_of(config), "the step is skipped; 3 so far"));
  std::vector<int64_t> steps;
  for (const auto& line : metrics_of(config)) {
    if (line.contains("lr")) {
      steps.push_back(line["step"]);
    }
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3})) << "what was gone back from is cut off, once";
  const auto kept = checkpoint::list_checkpoints(checkpoints_of(config));
  EXPECT_EQ(checkpoint::read_state(kept.at(0)).rate_factor, 0.5) << "also for the sessions to come";
  EXPECT_TRUE(contains(message_of<DivergedError>([&] { run(config); }), "with half the learning rate too"));
  const auto status = nlohmann::json::parse(test::read_bytes(std::filesystem::path(config.output) / "status.json"));
  EXPECT_EQ(status["state"], "diverged");
  EXPECT_EQ(checkpoint::list_checkpoints(checkpoints_of(config)).size(), 1U) << "none is made of a run that is ill";
  EXPECT_TRUE(contains(log_of(config), "it trains with 0.5 of optim.learning_rate"));
}

TEST_F(PretrainRecipe, ANewRateAfterDivergingIsTakenAsItIs) {
  auto config = config_for("run");
  run(config);
  forget_after(config, 3);
  const auto newest = checkpoint::list_checkpoints(checkpoints_of(config)).at(0);
  auto state = checkpoint::read_state(newest);
  state.rate_factor = 0.5;
  checkpoint::update_state(checkpoints_of(config), state);
  const auto rate_of_step_4 = [&](bool may_change) {
    monitor::RunEvents nobody("pretrain", config.output, /*hook=*/"");
    run_pretrain(
        config,
        {.stop = stop_, .events = nobody, .progress = util::ProgressStyle::kQuiet, .may_change_config = may_change});
    for (const auto& line : metrics_of(config)) {
      if (line.contains("lr") && line["step"] == 4) {
        return line["lr"].get<double>();
      }
    }
    return 0.0;
  };
  const double half = rate_of_step_4(false);
  forget_after(config, 3);
  config.optim.learning_rate *= 3;
  EXPECT_NEAR(rate_of_step_4(true), 6 * half, 1e-12);
}

TEST_F(PretrainRecipe, ARunThatDivergesBeforeItsFirstCheckpointEnds) {
  auto config = config_for("run");
  config.checkpoint.every_steps = 0;
  config.budget.steps = 40;
  config.optim = {.learning_rate = 1e30, .clip_norm = 0};
  config.schedule = {.warmup_frac = 0, .start_frac = 1};
  EXPECT_TRUE(contains(message_of<DivergedError>([&] { run(config); }), "no checkpoint to go back to"));
}

TEST_F(PretrainRecipe, ACheckpointWithWeightsThatAreNoNumbersIsSkipped) {
  const auto config = config_for("run");
  run(config);
  const std::string expected = weights_of(config);
  forget_after(config, 4);
  const auto newest = checkpoint::list_checkpoints(checkpoints_of(config)).at(0);
  auto state = checkpoint::read_state(newest);
  auto tensors = checkpoint::TrainTensors{};
  for (auto* list : {&tensors.masters, &tensors.first_moments, &tensors.second_moments}) {
    const auto shape = model::make_shape(config.model, data::read_packed_manifest(config.data).vocab_size, 0);
    for (const auto& spec : model::parameter_specs(shape, {})) {
      const at::Tensor whole = at::zeros(spec.shape).fill_(std::numeric_limits<double>::quiet_NaN());
      const auto parts = whole.chunk(static_cast<int64_t>(spec.parts.size()), 0);
      for (size_t i = 0; i < parts.size(); ++i) {
        list->push_back({spec.parts[i], parts[i]});
      }
    }
  }
  checkpoint::save_checkpoint(checkpoints_of(config), state, tensors, {.newest = 10});
  EXPECT_EQ(run(config).steps, 6);
  EXPECT_TRUE(weights_of(config) == expected);
  EXPECT_TRUE(contains(log_of(config), "its weights are not all numbers"));
}

TEST_F(PretrainRecipe, OtherSettingsAreTakenWhereThatIsAllowed) {
  auto config = config_for("run");
  run(config);
  forget_after(config, 3);
  config.optim.learning_rate = 5e-4;
  config.budget.steps = 5;
  const auto allowed = [&] {
    monitor::RunEvents nobody("pretrain", config.output, /*hook=*/"");
    return run_pretrain(
        config, {.stop = stop_, .events = nobody, .progress = util::ProgressStyle::kQuiet, .may_change_config = true});
  };
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { run(config); }), "--allow-config-change"));
  EXPECT_EQ(allowed().steps, 5);
  EXPECT_TRUE(contains(log_of(config), "optim.learning_rate"));
  EXPECT_EQ(run(config).steps, 5) << "from now on these are the run's";
  config.model.ffn = 64;
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { allowed(); }), "cannot change in a run"));
}

}  // namespace
}  // namespace bertcram::train
