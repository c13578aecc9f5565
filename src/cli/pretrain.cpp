// bertcram pretrain: packed data → a pretrained model.

#include <algorithm>
#include <cmath>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/monitor/run_events.h"
#include "bertcram/monitor/run_reader.h"
#include "bertcram/util/error.h"
#include "bertcram/util/shell_command.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

/// Models up to this width learn from finetune-mini.yaml's rate, not from the protocols' (docs/recipes.md); see overnight.sh.
constexpr int64_t kNarrow = 256;

train::ResumeChoice parse_resume(const std::string& word) {
  using Kind = train::ResumeChoice::Kind;
  if (word == "auto") {
    return {.kind = Kind::kAuto, .path = {}};
  }
  if (word == "never") {
    return {.kind = Kind::kNever, .path = {}};
  }
  return {.kind = Kind::kPath, .path = word};
}

/// Options that are no configuration.
struct RunOptions {
  std::string resume = "auto";
  bool may_change_config = false;
  bool as_json = false;
};

/// How far the run in the folder got, by its status.json.
nlohmann::json how_far(const std::filesystem::path& folder) {
  const auto status = monitor::read_status(folder, /*now=*/0);
  return {{"step", status.step},
          {"tokens", status.tokens},
          {"budget_share", status.budget_share},
          {"elapsed_seconds", status.elapsed_seconds}};
}

/// Trains. A run that was stopped or diverged leaves a report too, and its end is told to --on-event.
train::PretrainResult train_and_tell(const config::PretrainConfig& config, const RunOptions& options,
                                     const Session& session, monitor::RunEvents& events) {
  try {
    return training().run_pretrain(config, {.stop = session.stop,
                                            .events = events,
                                            .progress = session.progress,
                                            .resume = parse_resume(options.resume),
                                            .may_change_config = options.may_change_config});
  } catch (const std::exception& error) {
    nlohmann::json figures = how_far(config.output);
    const bool is_run_of_ours =
        dynamic_cast<const util::StoppedError*>(&error) || dynamic_cast<const DivergedError*>(&error);
    const auto folder = std::filesystem::path(config.output);
    if (is_run_of_ours && std::filesystem::exists(folder / "metrics.jsonl") && renew_report(folder)) {
      figures["report"] = (folder / "report.html").string();
    }
    events.ended_by(error, std::move(figures));
    throw;
  }
}

/// A line about the lowest held-out loss of evaluations like the first: the last may be of more rows; empty without.
std::string best_on_the_way(const std::filesystem::path& folder) {
  monitor::MetricsReader metrics(folder / "metrics.jsonl");
  metrics.refresh();
  const auto& table = metrics.evaluations();
  const auto losses = table.columns.find("eval_loss");
  if (losses == table.columns.end() || table.size() < 2) {
    return {};
  }
  std::vector<double> values = losses->second;
  if (const auto sizes = table.columns.find("eval_masked_tokens"); sizes != table.columns.end()) {
    const auto& tokens = sizes->second;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = tokens[i] == tokens.front() ? values[i] : std::nan("");
    }
  }
  const int64_t alike = std::ranges::count_if(values, [](double loss) { return std::isfinite(loss); });
  if (alike < 2) {
    return {};
  }
  const auto is_better = [](double a, double b) { return std::isfinite(a) && (a < b || !std::isfinite(b)); };
  const auto best = std::ranges::min_element(values, is_better);
  const double step = table.steps[static_cast<size_t>(best - values.begin())];
  const bool are_fewer = std::isnan(values.back()) && std::isfinite(losses->second.back());
  return cat("best of ", alike, " evaluations on the way", are_fewer ? ", of fewer rows than the last" : "", ": ",
             util::format_fixed(*best, 4), " at step ", util::format_count(std::llround(step)), "\n");
}

void run(const config::PretrainConfig& config, const RunOptions& options, const Session& session) {
  if (const auto problems = config::contradictions(config); !problems.empty()) {
    throw ConfigError(util::join(problems, "\n"));
  }
  outlive_readers();
  monitor::RunEvents events("pretrain", config.output, config.on_event);
  const auto result = train_and_tell(config, options, session, events);
  nlohmann::json json = {{"model", result.model.string()},
                         {"steps", result.steps},
                         {"tokens", result.tokens},
                         {"elapsed_seconds", result.elapsed_seconds},
                         {"unigram_entropy", result.unigram_entropy}};
  const double rate = result.elapsed_seconds > 0 ? static_cast<double>(result.tokens) / result.elapsed_seconds : 0;
  std::string text = cat(util::format_count(result.steps), " steps, ", util::format_count(result.tokens), " tokens, ",
                         util::format_duration(result.elapsed_seconds), " of training, ",
                         util::format_count(std::llround(rate)), " tokens/s\n");
  if (result.held_out) {
    json["eval_loss"] = result.held_out->loss;
    json["eval_accuracy"] = result.held_out->accuracy;
    if (const auto& replaced = result.held_out->replaced_tokens) {
      json["eval_rtd_loss"] = replaced->loss;
      json["eval_rtd_accuracy"] = replaced->accuracy;
      json["eval_rtd_found"] = replaced->found;
    }
    text += cat("held-out loss ", util::format_fixed(result.held_out->loss, 4), " (perplexity ",
                util::format_fixed(result.held_out->perplexity(), 1), ", accuracy ",
                util::format_fixed(100 * result.held_out->accuracy, 1), " %), unigram entropy ",
                util::format_fixed(result.unigram_entropy, 3), "\n");
    if (const auto& replaced = result.held_out->replaced_tokens) {
      text += cat("replaced tokens: loss ", util::format_fixed(replaced->loss, 4), ", accuracy ",
                  util::format_fixed(100 * replaced->accuracy, 2), " %, ", util::format_fixed(100 * replaced->found, 1),
                  " % of the replaced ones found; the figures above are the generator's\n");
    }
  }
  text += best_on_the_way(result.model.parent_path());
  text += cat("model in ", result.model.string(), "\n");
  if (result.generator) {
    json["generator"] = result.generator->string();
    text += cat("generator, a masked LM, in ", result.generator->string(), "\n");
  }
  if (const auto folder = result.model.parent_path(); renew_report(folder)) {
    json["report"] = (folder / "report.html").string();
    text += cat("report in ", (folder / "report.html").string(), "\n");
  }
  text += cat("next: bertcram finetune-glue --model ", util::shell_quoted(result.model.string()),
              config.model.hidden <= kNarrow ? " --config finetune-mini.yaml" : "", "\n");
  events.send("finished", cat("finished, ", text.substr(0, text.find('\n'))), json);
  print_result(options.as_json, json, text);
}

}  // namespace

Run setup_pretrain(CLI::App& app) {
  const auto config = std::make_shared<config::PretrainConfig>();
  const auto options = std::make_shared<RunOptions>();
  const auto fields = config::fields_of(*config);
  ConfigFlags flags(app);
  flags.add("--data", "data", fields);
  flags.add("--output", "output", fields);
  flags.add("--init-from", "init_from", fields);
  flags.add("--budget", "budget.time", fields);
  flags.add("--steps", "budget.steps", fields);
  flags.add("--tokens", "budget.tokens", fields);
  flags.add("--seed", "seed", fields);
  flags.add_runtime(fields);
  flags.add("--memory-limit", "runtime.memory_limit", fields);
  flags.add("--on-event", "on_event", fields);
  flags.add_config_options();
  app.add_option("--resume", options->resume,
                 "auto: continue the run in --output; never; or a checkpoint folder [auto]");
  app.add_flag("--allow-config-change", options->may_change_config,
               "continue the run with other settings than it began with, all but the model's");
  app.add_flag("--json", options->as_json, "print the result as JSON");
  return [config, options, flags](const Session& session) {
    flags.apply(config::fields_of(*config), session);
    run(*config, *options, session);
  };
}

}  // namespace bertcram::cli
