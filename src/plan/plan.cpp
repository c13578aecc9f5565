#include "bertcram/plan/plan.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::plan {
namespace {

using config::PretrainConfig;

struct GlueTask {
  std::string_view name;
  int64_t examples;
  double mean_tokens;
};

// Training sets of gluebenchmark.com; tokens of bert-base-uncased with [CLS] and [SEP], cut at 128, in the mean over up to 4,000
// examples of the training set (MNLI and QNLI: of the dev set).
constexpr std::array kGlueTasks = {
    GlueTask{"cola", 8'551, 11.6},   GlueTask{"sst2", 67'349, 13.3}, GlueTask{"mrpc", 3'668, 53.2},
    GlueTask{"stsb", 5'749, 30.8},   GlueTask{"qqp", 363'846, 30.6}, GlueTask{"mnli", 392'702, 39.0},
    GlueTask{"qnli", 104'743, 51.1}, GlueTask{"rte", 2'490, 66.6},   GlueTask{"wnli", 635, 37.1},
};

std::vector<TaskTime> glue_times(const Workload& pretraining, const PlanOptions& options, const Machine& machine) {
  std::vector<TaskTime> times;
  for (const GlueTask& task : kGlueTasks) {
    // Only the encoder that is kept; batches of examples of about one length, so next to no padding.
    const Workload workload = fine_tuning(pretraining.parts.back().shape, task.mean_tokens, options.glue_dropout);
    const double rate =
        options.calibration * tokens_per_second(workload, options.glue_batch_examples, 1, false, machine);
    times.push_back({.task = task.name,
                     .examples = task.examples,
                     .mean_tokens = task.mean_tokens,
                     .seconds = static_cast<double>(options.glue_epochs * task.examples) * task.mean_tokens / rate});
  }
  return times;
}

/// On a CPU as many as keep the products full; on a GPU all that fit, in a power of two.
int64_t rows_of_pass(const PretrainConfig& config, int64_t seq_len, int64_t largest, const Machine& machine) {
  if (config.batch.micro_rows > 0) {
    return std::min(config.batch.micro_rows, config.batch.rows);
  }
  if (!machine.is_gpu) {
    return std::min(usual_rows_per_pass(seq_len, config.batch.rows), largest);
  }
  int64_t rows = 1;
  while (2 * rows <= largest) {
    rows *= 2;
  }
  return largest == config.batch.rows ? largest : rows;
}

/// Tokens per second of an optimizer step: the fewer rows it has, the more its update weighs.
double rate_of_step(const Plan& plan, int64_t rows) {
  const int64_t rows_per_pass = std::min(rows, plan.micro_rows);
  const int64_t passes = (rows + rows_per_pass - 1) / rows_per_pass;
  return plan.calibration * tokens_per_second(plan.workload, rows_per_pass, passes, plan.recomputes, plan.machine);
}

struct Usage {
  double steps = 0;
  double tokens = 0;
  double seconds = 0;
};

/// Of the steps of a budget, taken as pretrain does: their rows grow with the used share of steps, tokens or time, whichever
/// is limited. Of the last one only the part that the budget has left.
Usage spend(const PretrainConfig& config, const Plan& plan) {
  constexpr double kMostTurns = 1e6;  // of the loop; in longer ramps one stands for several steps
  const config::BudgetConfig& budget = config.budget;
  const auto spent = [&](const Usage& usage) {
    return budget.steps > 0 ? usage.steps : budget.tokens > 0 ? usage.tokens : usage.seconds;
  };
  const auto step_of = [&](int64_t rows) -> Usage {
    const auto tokens = static_cast<double>(rows * plan.workload.seq_len);
    return {.steps = 1, .tokens = tokens, .seconds = tokens / rate_of_step(plan, rows)};
  };
  const double limit = spent({.steps = static_cast<double>(budget.steps),
                              .tokens = static_cast<double>(budget.tokens),
                              .seconds = util::parse_duration(budget.time).value_or(0)});
  const double most_steps = limit / spent(step_of(config.batch.rows_at(0)));
  const double stride = std::max(1.0, std::floor(most_steps / kMostTurns));
  Usage usage;
  while (spent(usage) < limit) {
    const int64_t rows = config.batch.rows_at(spent(usage) / limit);
    const Usage step = step_of(rows);
    const double left = (limit - spent(usage)) / spent(step);
    const double count = rows == config.batch.rows ? left : std::min(stride, left);
    usage.steps += count;
    usage.tokens += count * step.tokens;
    usage.seconds += count * step.seconds;
  }
  return usage;
}

Reach reach_of(const PretrainConfig& config, const Plan& plan, const PlanOptions& options) {
  const Usage usage = spend(config, plan);
  Reach reach;
  reach.seconds = usage.seconds;
  reach.tokens = util::whole_number(std::round(usage.tokens));
  reach.steps = util::whole_number(std::round(usage.steps));
  const auto tokens = static_cast<double>(reach.tokens);
  reach.flops = tokens * plan.workload.flops_per_token;
  if (options.train_rows) {
    reach.epochs = tokens / static_cast<double>(*options.train_rows * options.seq_len);
  }
  if (plan.machine.watts > 0) {
    constexpr double kJoules = 3.6e6;
    reach.kilowatt_hours = plan.machine.watts * reach.seconds / kJoules;
  }
  return reach;
}

/// What could be done about a model that does not fit.
std::vector<std::string> advice_for(const Plan& plan) {
  std::vector<std::string> advice;
  const MemoryNeed least = memory_need(plan.workload, 1, true, plan.machine);
  const int64_t fixed = least.total() - least.activations - least.workspace;
  const int64_t memory = plan.machine.memory_bytes;
  if (plan.machine.precision == config::Precision::kFp32) {
    advice.emplace_back("runtime.precision=bf16 (or fp16) halves what a row needs");
  }
  if (fixed > memory) {
    advice.push_back(
        cat("weights, gradients and moments alone take ", util::format_bytes(fixed), " of ", util::format_bytes(memory),
            ": a model of at most ",
            util::format_count(static_cast<int64_t>(static_cast<double>(plan.workload.parameters) *
                                                    static_cast<double>(memory) / static_cast<double>(fixed) * 0.8)),
            " parameters leaves room for rows; try fewer model.layers, or a smaller model.hidden"));
  } else {
    advice.push_back(
        cat("rows of ", plan.workload.seq_len / 2, " tokens, packed with --seq-len, need half the memory"));
  }
  advice.emplace_back(plan.machine.is_limited ? "a larger --memory-limit" : "a card with more memory: see --gpu list");
  return advice;
}

}  // namespace

double tokens_per_second(const Workload& workload, int64_t rows, int64_t passes, bool recomputes,
                         const Machine& machine) {
  return static_cast<double>(rows * passes * workload.seq_len) /
         step_seconds(workload, rows, passes, recomputes, machine).total();
}

Plan make_plan(const PretrainConfig& config, const PlanOptions& options, const Machine& machine) {
  const int64_t positions = config.model.max_positions;
  if (options.seq_len > positions) {  // as pretrain refuses it
    throw ConfigError(cat("model.max_positions ", positions, " is less than rows of ", options.seq_len,
                          " tokens; give --set model.max_positions=", options.seq_len, ", or rows of --seq-len ",
                          positions));
  }
  Plan plan = {.machine = machine,
               .workload = pretraining(config, options.vocab_size, options.seq_len),
               .calibration = options.calibration};
  plan.recomputes = config.batch.recompute;
  int64_t largest = rows_that_fit(plan.workload, config.batch.rows, plan.recomputes, machine);
  if (largest == 0 && !plan.recomputes) {  // as pretrain does
    plan.recomputes = true;
    largest = rows_that_fit(plan.workload, config.batch.rows, true, machine);
  }
  if (largest > 0) {
    plan.largest_rows = largest;
  }
  plan.micro_rows = rows_of_pass(config, options.seq_len, std::max<int64_t>(1, largest), machine);
  plan.memory = memory_need(plan.workload, plan.micro_rows, plan.recomputes, machine);
  if (plan.memory.total() > machine.memory_bytes) {
    plan.advice = advice_for(plan);
    if (plan.largest_rows) {
      plan.advice.insert(plan.advice.begin(),
                         cat("batch.micro_rows of at most ", *plan.largest_rows, "; the batch stays the same"));
    }
  }
  plan.tokens_per_second = rate_of_step(plan, config.batch.rows);
  plan.mfu = plan.tokens_per_second * plan.workload.flops_per_token / machine.flops;
  if (config.budget.steps > 0 || config.budget.tokens > 0 || !config.budget.time.empty()) {
    plan.reach = reach_of(config, plan, options);
  }
  plan.glue_epochs = options.glue_epochs;
  plan.glue = glue_times(plan.workload, options, machine);
  return plan;
}

}  // namespace bertcram::plan
