#include "bertcram/config/pretrain_config.h"

#include <algorithm>
#include <iterator>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::config {
namespace {

constexpr const char* kGiveOneBudget = ": give one of --budget 100h, --steps N or --tokens N";

int budgets_of(const BudgetConfig& budget) {
  return static_cast<int>(!budget.time.empty()) + static_cast<int>(budget.steps > 0) +
         static_cast<int>(budget.tokens > 0);
}

}  // namespace

int64_t BatchConfig::rows_at(double share) const {
  if (start_rows == 0 || share >= ramp_frac) {
    return rows;
  }
  const double progress = std::max(0.0, share) / ramp_frac;
  const auto grown = static_cast<int64_t>(progress * static_cast<double>(rows - start_rows));
  return start_rows + grown / start_rows * start_rows;
}

std::vector<std::string> model_contradictions(const PretrainConfig& config) {
  std::vector<std::string> problems;
  const auto require = [&](bool holds, const std::string& text) {
    if (!holds) {
      problems.push_back(text);
    }
  };
  const ModelConfig& model = config.model;
  require(model.hidden % model.heads == 0,
          cat("model.hidden ", model.hidden, " is not a multiple of model.heads ", model.heads));
  require(model.arch != Arch::kModern || model.hidden / model.heads % 2 == 0,
          cat("model.hidden / model.heads is ", model.hidden / model.heads,
              "; rotary positions (arch modern) need an even number"));
  require(model.rope_theta < kMostRopeTheta,
          cat("model.rope_theta ", model.rope_theta, " is not below ", kMostRopeTheta));
  require(model.layer_norm_eps < 1.0, cat("model.layer_norm_eps ", model.layer_norm_eps, " is not below 1"));
  require(config.rtd.generator_layers <= model.layers,
          cat("rtd.generator_layers ", config.rtd.generator_layers, " is more than model.layers ", model.layers,
              "; the generator is the smaller one"));
  require(config.mask.mask_share + config.mask.random_share <= 1.0,
          "mask.mask_share and mask.random_share together exceed 1");
  return problems;
}

std::vector<std::string> budget_contradictions(const BudgetConfig& budget) {
  std::vector<std::string> problems;
  if (budgets_of(budget) > 1) {
    problems.push_back(cat("more than one budget is set", kGiveOneBudget));
  }
  if (!budget.time.empty() && util::parse_duration(budget.time).value_or(0) <= 0) {
    problems.emplace_back("budget.time is no time at all: give e.g. --budget 100h");
  }
  if (util::parse_double(budget.time).value_or(0) > 0) {
    problems.push_back(cat("budget.time ", budget.time, " has no unit: ", budget.time, "s, ", budget.time, "m or ",
                           budget.time, "h?"));
  }
  return problems;
}

std::vector<std::string> contradictions(const PretrainConfig& config) {
  std::vector<std::string> problems = model_contradictions(config);
  const auto require = [&](bool holds, const std::string& text) {
    if (!holds) {
      problems.push_back(text);
    }
  };
  require(config.batch.start_rows <= config.batch.rows,
          cat("batch.start_rows ", config.batch.start_rows, " is more than batch.rows ", config.batch.rows));
  require(config.schedule.warmup_frac + config.schedule.hold_frac <= 1.0,
          "schedule.warmup_frac and schedule.hold_frac together exceed 1");
  require(config.init_from.empty() || config.objective == Objective::kMlm,
          "init_from goes on with masked language modelling; objective rtd starts from scratch");
  require(budgets_of(config.budget) > 0, cat("no budget is set", kGiveOneBudget));
  std::ranges::copy(budget_contradictions(config.budget), std::back_inserter(problems));
  require(!config.data.empty(), "--data is missing: the folder made by 'bertcram pack'");
  require(!config.output.empty(), "--output is missing: a folder for the run");
  return problems;
}

}  // namespace bertcram::config
