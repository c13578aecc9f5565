// Rules between the fields of a pretraining configuration, and the configurations that are shipped.

#include "bertcram/config/pretrain_config.h"

#include <gtest/gtest.h>

#include "bertcram/config/finetune_config.h"
#include "bertcram/config/resolve.h"
#include "util/source_dir.h"
#include "util/test_support.h"

namespace bertcram::config {
namespace {

using test::contains;

PretrainConfig sound() {
  PretrainConfig config;
  config.data = "data";
  config.output = "run";
  config.budget.steps = 10;
  return config;
}

TEST(BatchConfig, RowsGrowByTheirFirstNumberOverTheRamp) {
  const BatchConfig batch{.rows = 256, .start_rows = 32, .ramp_frac = 0.5};
  EXPECT_EQ(batch.rows_at(0.0), 32);
  EXPECT_EQ(batch.rows_at(0.07), 32);
  EXPECT_EQ(batch.rows_at(0.072), 64);
  EXPECT_EQ(batch.rows_at(0.25), 128);
  EXPECT_EQ(batch.rows_at(0.499), 224);
  EXPECT_EQ(batch.rows_at(0.5), 256);
  EXPECT_EQ(batch.rows_at(1.0), 256);
  const BatchConfig constant{.rows = 100, .start_rows = 0};
  EXPECT_EQ(constant.rows_at(0.0), 100) << "no ramp";
  const BatchConfig instant{.rows = 100, .start_rows = 30, .ramp_frac = 0.0};
  EXPECT_EQ(instant.rows_at(0.0), 100);
}

TEST(Contradictions, ASoundConfigurationHasNone) {
  EXPECT_TRUE(contradictions(sound()).empty());
  PretrainConfig small = sound();
  small.batch = {.rows = 3, .micro_rows = 64};  // one pass that is not full
  EXPECT_TRUE(contradictions(small).empty());
  PretrainConfig timed = sound();
  timed.budget = {.time = "1h30m"};
  EXPECT_TRUE(contradictions(timed).empty());
}

TEST(Contradictions, ABudgetOfTimeNeedsAUnit) {
  PretrainConfig config = sound();
  config.budget = {.time = "15"};
  const auto problems = contradictions(config);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_TRUE(contains(problems[0], "has no unit: 15s, 15m or 15h?"));
}

TEST(Contradictions, AreAllListed) {
  PretrainConfig config;
  config.model.hidden = 100;
  config.model.heads = 3;
  config.mask.mask_share = 0.8;
  config.mask.random_share = 0.3;
  const auto problems = contradictions(config);
  ASSERT_EQ(problems.size(), 5U);
  EXPECT_TRUE(contains(problems[0], "model.hidden 100 is not a multiple of model.heads 3"));
  EXPECT_TRUE(contains(problems[1], "exceed 1"));
  EXPECT_TRUE(contains(problems[2], "no budget is set"));
  EXPECT_TRUE(contains(problems[3], "--data is missing"));
  EXPECT_TRUE(contains(problems[4], "--output is missing"));
}

TEST(Contradictions, MoreThanOneBudgetIsOne) {
  PretrainConfig config = sound();
  config.budget.tokens = 1000;
  ASSERT_EQ(contradictions(config).size(), 1U);
  EXPECT_TRUE(contains(contradictions(config)[0], "more than one budget"));
}

TEST(Budgets, OfALaterSourceTakeThePlaceOfAnEarlierOnes) {
  const test::ScratchDirectory scratch;
  const auto hours = scratch.write("hours.yaml", "budget: {time: 100h}\n");
  const auto steps = scratch.write("steps.yaml", "budget: {steps: 5}\n");
  const auto other = scratch.write("other.yaml", "seed: 3\n");
  const auto budget_of = [](const Sources& sources) {
    PretrainConfig config;
    apply_sources(fields_of(config), sources);
    return cat(config.budget.time, "/", config.budget.steps, "/", config.budget.tokens);
  };
  EXPECT_EQ(budget_of({.files = {hours, other}, .overrides = {{"seed", {"4"}, "--seed"}}}), "100h/0/0");
  EXPECT_EQ(budget_of({.files = {hours, steps}, .overrides = {}}), "/5/0");
  EXPECT_EQ(budget_of({.files = {steps, hours}, .overrides = {}}), "100h/0/0");
  EXPECT_EQ(budget_of({.files = {hours}, .overrides = {{"budget.tokens", {"7"}, "--tokens"}}}), "/0/7");
  EXPECT_EQ(budget_of({.files = {hours}, .overrides = {{"budget.time", {"2h"}, "--budget"}}}), "2h/0/0");
  EXPECT_EQ(
      budget_of({.files = {}, .overrides = {{"budget.time", {"2h"}, "--budget"}, {"budget.steps", {"9"}, "--steps"}}}),
      "2h/9/0");  // a contradiction
}

// Found by review: "--budget 0s" counted as a budget and ended in an internal error.
TEST(Contradictions, ABudgetOfNoTimeIsOne) {
  PretrainConfig config = sound();
  config.budget = {.time = "0s"};
  ASSERT_EQ(contradictions(config).size(), 1U);
}

TEST(ShippedConfigs, AllParse) {
  const std::filesystem::path folder = test::source_dir() / "configs";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") {
      continue;
    }
    ++files;
    if (entry.path().filename().string().find("finetune") != std::string::npos) {
      FinetuneConfig finetune;
      EXPECT_NO_THROW(apply_sources(fields_of(finetune), {.files = {entry.path()}, .overrides = {}})) << entry.path();
      continue;
    }
    PretrainConfig config;
    EXPECT_NO_THROW(apply_sources(fields_of(config), {.files = {entry.path()}, .overrides = {}})) << entry.path();
    config.data = "data";
    config.output = "run";
    const bool has_budget = !config.budget.time.empty() || config.budget.steps > 0 || config.budget.tokens > 0;
    config.budget.steps = has_budget ? config.budget.steps : 1;  // the budget may be left to the command line
    EXPECT_TRUE(contradictions(config).empty()) << entry.path();
  }
  EXPECT_GT(files, 0) << folder;
}

}  // namespace
}  // namespace bertcram::config
