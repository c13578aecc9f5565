// bertcram bench: how fast this machine takes training steps of a configuration, and where the time goes.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/plan/plan.h"
#include "bertcram/plan/record.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/out_of_memory.h"
#include "bertcram/util/table.h"
#include "bertcram/util/text.h"
#include "bertcram/util/version.h"
#include "command.h"
#include "config_flags.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

using nlohmann::json;
using train::BenchReport;
using train::BenchResult;

constexpr double kTera = 1e12;

struct Words {
  std::vector<std::string> micro_batches;
  std::vector<std::string> precisions;
  train::BenchOptions options;
  bool as_json = false;
};

config::Precision parse_precision(const std::string& word) {
  const auto words = config::enum_words(config::Precision{});
  const auto found = std::ranges::find(words, word);
  if (found == words.end()) {
    throw ConfigError(
        cat("--precision: unknown '", word, "', expected auto, fp32, bf16 or fp16, or several with commas"));
  }
  return static_cast<config::Precision>(found - words.begin());
}

int64_t parse_rows(const std::string& word) {
  constexpr int64_t kMost = 1'000'000;
  const auto rows = util::parse_count(word);
  if (!rows || *rows < 1 || *rows > kMost) {
    throw ConfigError(cat("--micro-batch: '", word, "' is no number of rows from 1 to ", kMost));
  }
  return *rows;
}

json json_of(const train::Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

json json_of(const BenchResult& result, const std::string& device) {
  json out = {{"micro_batch", result.micro_batch}, {"precision", result.precision}, {"device", device}};
  if (!result.failure.empty()) {
    out["failure"] = result.failure;
    return out;
  }
  out["recompute"] = result.recomputes;
  out["tokens_per_second"] = json_of(result.tokens_per_second);
  out["mfu"] = result.mfu;
  out["roofline_flops"] = result.roofline_flops;
  out["peak_memory_bytes"] = result.peak_memory_bytes;
  out["phases"] = {{"load", result.phases.load},
                   {"forward", result.phases.forward},
                   {"backward", result.phases.backward},
                   {"update", result.phases.update}};
  for (const auto& operation : result.operations) {
    out["operations"].push_back({{"name", operation.name}, {"seconds", operation.seconds}, {"calls", operation.calls}});
  }
  return out;
}

/// The fastest stands at the top, all of them under "results".
json json_of(const BenchReport& report, const BenchResult& best) {
  json out = json_of(best, report.device);
  out["threads"] = report.threads;
  out["switches"] = report.switches;
  out["parameters"] = report.parameters;
  out["flops_per_token"] = report.flops_per_token;
  out["version"] = util::version();
  out["commit"] = util::commit();
  out["torch_version"] = util::torch_version();
  for (const BenchResult& result : report.results) {
    out["results"].push_back(json_of(result, report.device));
  }
  return out;
}

std::string percent(double part, double whole) { return util::format_fixed(100 * part / whole, 1); }

std::string text_of(const BenchReport& report, const BenchResult& best) {
  util::Table table = {.rows = {{"precision", "rows per pass", "tokens/s", "lowest", "highest", "% of roofline",
                                 "peak memory", "load %", "forward %", "backward %", "update %"}}};
  for (const BenchResult& result : report.results) {
    if (!result.failure.empty()) {
      table.rows.push_back({result.precision, cat(result.micro_batch), result.failure, "", "", "", "", "", "", "", ""});
      continue;
    }
    const auto count = [](double value) { return util::format_count(std::llround(value)); };
    const auto& phases = result.phases;
    const double step = phases.load + phases.forward + phases.backward + phases.update;
    table.rows.push_back({result.precision, cat(result.micro_batch, result.recomputes ? ", recomputing" : ""),
                          count(result.tokens_per_second.median), count(result.tokens_per_second.min),
                          count(result.tokens_per_second.max), percent(result.mfu, 1),
                          util::format_bytes(result.peak_memory_bytes), percent(phases.load, step),
                          percent(phases.forward, step), percent(phases.backward, step), percent(phases.update, step)});
  }
  std::string text =
      cat(util::format_count(report.parameters), " parameters, ", util::format_fixed(report.flops_per_token / 1e6, 1),
          " MFLOP per token; ", report.device, ", ", report.threads, " threads; large products reach ",
          util::format_fixed(best.roofline_flops / kTera, 2), " TFLOP/s in ", best.precision, "\n",
          util::plain_table(table));
  if (!best.operations.empty()) {
    constexpr size_t kShown = 25;
    util::Table operations = {.rows = {{"operation", "ms per step", "calls"}}};
    for (const auto& each : std::span(best.operations).first(std::min(kShown, best.operations.size()))) {
      operations.rows.push_back(
          {each.name, util::format_fixed(1e3 * each.seconds, 2), util::format_fixed(each.calls, 0)});
    }
    text += cat("\n", util::plain_table(operations));
  }
  return text;
}

/// For `plan`: how much of what it would have predicted was reached. The result stands already: that memory is too little to
/// measure the machine beside a --memory-limit is no failure.
void keep_for_plan(config::PretrainConfig config, const train::BenchOptions& options, const BenchResult& best) {
  config.runtime.precision = parse_precision(best.precision);
  try {
    const plan::Machine machine = training().measure_machine(config.runtime);
    const plan::Workload workload = plan::pretraining(config, options.vocab_size, options.seq_len);
    plan::keep_record(
        machine,
        {.measured = best.tokens_per_second.median,
         .predicted = plan::tokens_per_second(workload, best.micro_batch, options.passes, best.recomputes, machine),
         .what =
             cat(config.model.layers, " layers × ", config.model.hidden, " in passes of ", best.micro_batch, " rows")});
  } catch (const std::exception& error) {
    if (!util::is_out_of_memory(error)) {
      throw;
    }
    util::log_warning("bench", "too little memory to keep the result for 'bertcram plan'");
  }
}

void run(const config::PretrainConfig& config, const Words& words, const Session& session) {
  outlive_readers();
  train::BenchOptions options = words.options;
  std::ranges::transform(words.micro_batches, std::back_inserter(options.micro_batches), parse_rows);
  std::ranges::transform(words.precisions, std::back_inserter(options.precisions), parse_precision);
  const BenchReport report = training().run_bench(config, options, {.stop = session.stop});
  const auto& best = *std::ranges::max_element(
      report.results, {}, [](const BenchResult& result) { return result.tokens_per_second.median; });
  print_result(words.as_json, json_of(report, best), text_of(report, best));
  keep_for_plan(config, options, best);
}

}  // namespace

Run setup_bench(CLI::App& app) {
  const auto config = std::make_shared<config::PretrainConfig>();
  const auto words = std::make_shared<Words>();
  const auto fields = config::fields_of(*config);
  ConfigFlags flags(app);
  flags.add("--threads", "runtime.threads", fields);
  flags.add("--device", "runtime.device", fields);
  flags.add("--memory-limit", "runtime.memory_limit", fields);
  flags.add_config_options();
  app.add_option("--precision", words->precisions, "number formats to try, with commas between them [auto]")
      ->delimiter(',')
      ->type_name("LIST");
  app.add_option("--micro-batch", words->micro_batches,
                 "rows per pass to try, with commas between them [as pretrain would]")
      ->delimiter(',')
      ->type_name("LIST");
  train::BenchOptions& options = words->options;
  constexpr int64_t kMostIds = 10'000'000;
  take_count(app.add_option("--vocab-size", options.vocab_size, "entries of the vocabulary [32768]"), 16, kMostIds);
  take_count(app.add_option("--seq-len", options.seq_len, "tokens per row [128]"), 8, 65'536);
  take_count(app.add_option("--passes", options.passes, "passes per optimizer step [4]"), 1, 10'000);
  take_count(app.add_option("--steps", options.steps, "steps per repetition [1]"), 1, 100'000);
  take_count(app.add_option("--repeats", options.repeats, "timed repetitions [5]"), 1, 1000);
  app.add_flag("--operations", options.with_operations, "also show the time of each of LibTorch's operations");
  app.add_flag("--json", words->as_json, "print the result as JSON");
  return [config, words, flags](const Session& session) {
    flags.apply(config::fields_of(*config), session);
    run(*config, *words, session);
  };
}

}  // namespace bertcram::cli
