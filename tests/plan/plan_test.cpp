// What is predicted of memory and budgets, against sums by hand.

#include "bertcram/plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <tuple>

#include "bertcram/glue/protocol.h"
#include "bertcram/plan/record.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "plan/plan_support.h"
#include "util/test_support.h"

namespace bertcram::plan {
namespace {

using config::Precision;

TEST(Cards, AreFoundByKeyOrTitleInAnySpelling) {
  for (const char* name : {"3060ti", "3060 Ti", "RTX 3060 Ti", "NVIDIA GeForce RTX 3060 Ti", "rtx-3060-ti"}) {
    ASSERT_NE(find_card(name), nullptr) << name;
    EXPECT_EQ(find_card(name)->key, "3060ti") << name;
  }
  EXPECT_EQ(find_card("3060ti super"), nullptr);
  EXPECT_EQ(find_card(""), nullptr);
  std::set<std::string_view> keys;
  for (const Card& each : cards()) {
    EXPECT_TRUE(keys.insert(each.key).second) << each.key;
    EXPECT_EQ(find_card(each.title), &each);
  }
}

TEST(Cards, TuringComputesInFp16) {
  EXPECT_EQ(card("2080ti").precision, Precision::kFp16);
  EXPECT_EQ(card("3060ti").precision, Precision::kBf16);
  EXPECT_EQ(card("3060ti", Precision::kFp32).precision, Precision::kFp32);
}

TEST(Cards, ComputeFp32InTheirShadersAndTf32InTensorCores) {
  EXPECT_NEAR(card("t4", Precision::kFp32).flops, 8.1e12, 1);
  EXPECT_NEAR(card("2080ti", Precision::kFp32).flops, 13.4e12, 1);
  EXPECT_NEAR(card("a10", Precision::kFp32).flops, 31.2e12, 1);
  EXPECT_NEAR(card("3060ti", Precision::kFp32).flops, 16.2e12, 1);
  EXPECT_NEAR(card("a10", Precision::kFp32, /*has_tf32=*/true).flops, 62.5e12, 1);
  EXPECT_NEAR(card("t4", Precision::kFp32, /*has_tf32=*/true).flops, 8.1e12, 1) << "Turing has none";
  EXPECT_NEAR(card("a10", Precision::kBf16, /*has_tf32=*/true).flops, 125e12, 1);
}

TEST(Plans, SpendTheBudgetAtThePredictedRate) {
  config::PretrainConfig config = bert_base();
  config.budget.time = "10h";
  const Plan plan = make_plan(config, {.train_rows = 1'000'000}, card("3060ti"));
  ASSERT_TRUE(plan.reach.has_value());
  EXPECT_TRUE(plan.advice.empty());
  EXPECT_NEAR(static_cast<double>(plan.reach->tokens), 36'000 * plan.tokens_per_second, 1.0);
  EXPECT_NEAR(*plan.reach->epochs, static_cast<double>(plan.reach->tokens) / 128e6, 1e-9);
  EXPECT_NEAR(*plan.reach->kilowatt_hours, 2.0, 1e-6);  // 200 W
  EXPECT_NEAR(plan.mfu, plan.tokens_per_second * plan.workload.flops_per_token / 32.4e12, 1e-9);
  EXPECT_GT(plan.mfu, 0.2);
  EXPECT_LT(plan.mfu, 0.8);

  config.budget.time = "";
  config.budget.steps = 100;
  EXPECT_EQ(make_plan(config, {}, card("3060ti")).reach->tokens, 100 * config.batch.rows * 128);
  config.budget.steps = 0;
  EXPECT_FALSE(make_plan(config, {}, card("3060ti")).reach.has_value());
}

/// BERT-base with the batch of base.yaml, which grows over 60 % of the budget.
config::PretrainConfig with_ramp() {
  config::PretrainConfig config = bert_base();
  config.batch = {.rows = 4096, .start_rows = 128, .ramp_frac = 0.6};
  return config;
}

struct Sums {
  int64_t steps = 0;
  int64_t tokens = 0;
  double seconds = 0;
};

/// Whole steps one by one, as pretrain takes them. @param spent  of Sums what `limit` is in
template <class Spent>
Sums steps_until(double limit, const config::BatchConfig& batch, const Plan& plan, Spent spent) {
  Sums sums;
  while (spent(sums) < limit) {
    const int64_t rows = batch.rows_at(spent(sums) / limit);
    const int64_t per_pass = std::min(rows, plan.micro_rows);
    const int64_t passes = (rows + per_pass - 1) / per_pass;
    ++sums.steps;
    sums.tokens += rows * 128;
    sums.seconds += static_cast<double>(rows * 128) /
                    tokens_per_second(plan.workload, per_pass, passes, plan.recomputes, plan.machine);
  }
  return sums;
}

TEST(Plans, OfStepsCountTheSmallOnesOfABatchRamp) {
  config::PretrainConfig config = with_ramp();
  config.budget.steps = 10'000;
  const Plan plan = make_plan(config, {.train_rows = 1'000'000}, card("3060ti"));
  const Sums expected =
      steps_until(10'000, config.batch, plan, [](const Sums& sums) { return static_cast<double>(sums.steps); });
  EXPECT_EQ(plan.reach->steps, 10'000);
  EXPECT_EQ(plan.reach->tokens, expected.tokens);
  EXPECT_EQ(plan.reach->tokens, 3'669'770'240);  // 5,242,880,000 of full steps
  EXPECT_NEAR(plan.reach->seconds / expected.seconds, 1.0, 1e-9);
  EXPECT_GT(plan.reach->seconds, 3'669'770'240 / plan.tokens_per_second) << "small steps have more updates";
  EXPECT_NEAR(*plan.reach->kilowatt_hours, 200 * expected.seconds / 3.6e6, 1e-6);
  EXPECT_NEAR(*plan.reach->epochs, 3'669'770'240 / 128e6, 1e-9);
  EXPECT_NEAR(plan.reach->flops / (3'669'770'240 * plan.workload.flops_per_token), 1.0, 1e-9);
}

TEST(Plans, OfTokensTakeMoreStepsInABatchRamp) {
  config::PretrainConfig config = with_ramp();
  config.budget.tokens = 9'509'762'974;
  const Plan plan = make_plan(config, {}, card("3060ti"));
  const Sums expected = steps_until(9'509'762'974.0, config.batch, plan,
                                    [](const Sums& sums) { return static_cast<double>(sums.tokens); });
  EXPECT_EQ(expected.steps, 52'500);  // 18,139 full ones
  EXPECT_NEAR(static_cast<double>(plan.reach->steps), 52'500, 1.0);
  EXPECT_EQ(plan.reach->tokens, 9'509'762'974);
  EXPECT_LE(plan.reach->seconds, expected.seconds);
  EXPECT_NEAR(plan.reach->seconds / expected.seconds, 1.0, 1e-4);
}

TEST(Plans, OfTimeTakeMoreStepsInABatchRamp) {
  config::PretrainConfig config = with_ramp();
  config.budget.time = "100h";
  const Plan plan = make_plan(config, {}, card("3060ti"));
  const Sums expected = steps_until(360'000, config.batch, plan, [](const Sums& sums) { return sums.seconds; });
  EXPECT_NEAR(plan.reach->seconds, 360'000, 1e-6);
  EXPECT_NEAR(static_cast<double>(plan.reach->steps), static_cast<double>(expected.steps), 1.0);
  EXPECT_NEAR(static_cast<double>(plan.reach->tokens), static_cast<double>(expected.tokens), 4096 * 128);
  EXPECT_GT(plan.reach->steps, 5 * plan.reach->tokens / (2 * 4096 * 128)) << "of full steps it would be 1";
}

TEST(Plans, OfVeryManyStepsInABatchRampAreQuickAndNearTheMean) {
  config::PretrainConfig config = with_ramp();
  config.budget.steps = 1'000'000'000'000;
  // 128, 256, … 3968 rows for equal shares of the ramp, then 4096.
  const double mean_rows = 0.6 * 2048 + 0.4 * 4096;
  const Plan plan = make_plan(config, {}, card("3060ti"));
  EXPECT_EQ(plan.reach->steps, 1'000'000'000'000);
  EXPECT_NEAR(static_cast<double>(plan.reach->tokens) / (1e12 * mean_rows * 128), 1.0, 1e-5);
}

TEST(Plans, ACalibrationScalesEveryRate) {
  const Plan plain = make_plan(bert_base(), {}, card("3060ti"));
  const Plan half = make_plan(bert_base(), {.calibration = 0.5}, card("3060ti"));
  EXPECT_NEAR(half.tokens_per_second, 0.5 * plain.tokens_per_second, 1e-6);
  EXPECT_NEAR(half.glue[0].seconds, 2 * plain.glue[0].seconds, 1e-6);
}

TEST(Plans, FineTuneWithTheDropoutOfTheProtocol) {
  constexpr size_t kRte = 7;  // long enough for the GPU not to wait for its processor
  const auto seconds_of = [](const config::PretrainConfig& config, const PlanOptions& options) {
    return make_plan(config, options, card("3060ti")).glue[kRte].seconds;
  };
  config::PretrainConfig dropping = bert_base();
  dropping.model.dropout = 0.5;
  EXPECT_EQ(seconds_of(dropping, {}), seconds_of(bert_base(), {}));
  EXPECT_GT(seconds_of(bert_base(), {.glue_dropout = 0.1}), seconds_of(bert_base(), {.glue_dropout = 0}));
}

TEST(Plans, FineTuneWithTheBatchOfTheProtocol) {
  const auto seconds_of = [](const PlanOptions& options) {
    return make_plan(bert_base(), options, card("3060ti")).glue[0].seconds;
  };
  EXPECT_EQ(seconds_of({}), seconds_of({.glue_batch_examples = glue::sane_protocol().common.batch_examples}));
  EXPECT_GT(seconds_of({.glue_batch_examples = 16}), seconds_of({.glue_batch_examples = 32}));  // updates weigh more
}

TEST(Plans, SayWhatToChangeWhereNothingFits) {
  config::PretrainConfig config = bert_base();
  config.model.hidden = 4096;
  config.model.heads = 32;
  config.model.ffn = 16'384;
  const Plan plan = make_plan(config, {}, card("3060ti"));
  EXPECT_FALSE(plan.largest_rows.has_value());
  ASSERT_FALSE(plan.advice.empty());
  EXPECT_NE(plan.advice[0].find("alone take"), std::string::npos) << plan.advice[0];

  config = bert_base();
  config.batch.micro_rows = 1024;
  const Plan crowded = make_plan(config, {}, card("3060ti"));
  ASSERT_FALSE(crowded.advice.empty());
  EXPECT_NE(crowded.advice[0].find("batch.micro_rows of at most"), std::string::npos) << crowded.advice[0];
}

TEST(Plans, AdviseALargerLimitOnlyWhereTheLimitIsLessThanTheMemory) {
  config::PretrainConfig config = bert_base();
  config.model.hidden = 4096;
  config.model.heads = 32;
  config.model.ffn = 16'384;
  const auto last_advice = [&](const Machine& machine) { return make_plan(config, {}, machine).advice.back(); };
  constexpr const char* kLargerCard = "a card with more memory: see --gpu list";
  constexpr const char* kLargerLimit = "a larger --memory-limit";
  EXPECT_EQ(last_advice(card("3060ti")), kLargerCard);
  config.runtime.memory_limit = "100GB";
  EXPECT_EQ(last_advice(machine_of(*find_card("3060ti"), config.runtime)), kLargerCard);
  config.runtime.memory_limit = "4GiB";
  EXPECT_EQ(last_advice(machine_of(*find_card("3060ti"), config.runtime)), kLargerLimit);
  Machine cpu = {.name = "this machine",
                 .precision = Precision::kBf16,
                 .memory_bytes = int64_t{4} << 30,
                 .flops = 1e12,
                 .bytes_per_second = 20e9,
                 .is_limited = true};
  EXPECT_EQ(last_advice(cpu), kLargerLimit);
  cpu.is_limited = false;
  EXPECT_EQ(last_advice(cpu), kLargerCard);
}

TEST(Plans, RefuseAModelThatContradictsItself) {
  config::PretrainConfig config = bert_base();
  config.model.heads = 7;
  EXPECT_THROW(make_plan(config, {}, card("3060ti")), ConfigError);
}

TEST(Plans, RefuseRowsThatPretrainWouldRefuse) {
  config::PretrainConfig config = bert_base();
  EXPECT_EQ(test::message_of<ConfigError>([&] { make_plan(config, {.seq_len = 512}, card("3060ti")); }),
            "model.max_positions 128 is less than rows of 512 tokens; give --set model.max_positions=512, or rows of "
            "--seq-len 128");
  config.model.max_positions = 512;
  EXPECT_EQ(make_plan(config, {.seq_len = 512}, card("3060ti")).workload.seq_len, 512);
}

// What an H100 under a cap of 8 GiB trained, most of the time waiting for its processor (bench/results/gpu_check_h100.json).
TEST(Plans, KnowThatSmallModelsWaitForTheProcessor) {
  const Machine h100 = {
      .name = "H100", .is_gpu = true, .precision = Precision::kBf16, .flops = 770e12, .bytes_per_second = 3.35e12};
  config::PretrainConfig base = bert_base();
  config::PretrainConfig mini = bert_base();
  mini.model.hidden = 256;
  mini.model.layers = mini.model.heads = 4;
  mini.model.ffn = 1024;
  mini.mask.mask_prob = 0.40;
  for (const auto& [config, rows, measured] : {std::tuple(base, 32, 184'193.0), std::tuple(mini, 16, 264'892.0)}) {
    const double planned = tokens_per_second(pretraining(config, 32'768, 128), rows, 4, /*recomputes=*/false, h100);
    EXPECT_NEAR(planned / measured, 1.0, 0.15) << config.model.layers;
  }
}

class Records : public ::testing::Test {
 protected:
  void SetUp() override { ::setenv("XDG_CACHE_HOME", folder_.path().c_str(), /*replace=*/1); }
  void TearDown() override { ::unsetenv("XDG_CACHE_HOME"); }

  test::ScratchDirectory folder_;
  Machine machine_ = {.name = "this machine", .model = "Xeon", .precision = Precision::kBf16, .threads = 2};
};

TEST_F(Records, AreFoundAgainByWhatTheyDependOn) {
  EXPECT_FALSE(find_record(machine_).has_value());
  keep_record(machine_, {.measured = 50, .predicted = 100, .what = "4 layers"});
  Machine other = machine_;
  other.threads = 4;
  EXPECT_FALSE(find_record(other).has_value());
  other = machine_;
  other.precision = Precision::kFp32;
  EXPECT_FALSE(find_record(other).has_value());
  keep_record(other, {.measured = 3, .predicted = 1, .what = "fp32"});
  other = machine_;
  other.has_kernels = true;
  keep_record(other, {.measured = 5, .predicted = 1, .what = "products by oneDNN"});
  other.has_product_kernels = other.sums_gradients = true;
  EXPECT_FALSE(find_record(other).has_value()) << "BERTCRAM_FUSED=on";
  other = machine_;
  other.model = "Ryzen";
  EXPECT_FALSE(find_record(other).has_value()) << "a home directory shared by two machines";
  other.model = "GeForce";
  other.is_gpu = true;
  keep_record(other, {.measured = 7, .predicted = 1, .what = "a card"});
  other.model = "Tesla";
  EXPECT_FALSE(find_record(other).has_value()) << "a new card";
  const auto found = find_record(machine_);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->share(), 0.5);
  EXPECT_EQ(found->what, "4 layers");
  EXPECT_GT(found->unix_time, 1'700'000'000);
}

TEST_F(Records, ThatMakeNoSenseAreNone) {
  std::filesystem::create_directories(record_file()->parent_path());
  for (const char* text : {"", "nonsense", "[]", R"({"cpu Xeon, 2 threads, bf16": 3})",
                           R"({"cpu Xeon, 2 threads, bf16": {"measured": -1, "predicted": 2}})",
                           R"({"cpu Xeon, 2 threads, bf16": {"measured": "1", "predicted": 0}})"}) {
    util::write_file_atomically(*record_file(), text);
    EXPECT_FALSE(find_record(machine_).has_value()) << text;
    keep_record(machine_, {.measured = 1, .predicted = 2});
    EXPECT_TRUE(find_record(machine_).has_value()) << text;
  }
}

}  // namespace
}  // namespace bertcram::plan
