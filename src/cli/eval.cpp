// bertcram eval: held-out masked-language-model figures, or the dev score of a fine-tuned model.

#include "bertcram/config/eval_config.h"
#include "bertcram/glue/task_file.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "glue_folder.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

void print_scores(const train::HeldOutScores& scores, bool as_json) {
  print_result(
      as_json,
      {{"loss", scores.loss},
       {"perplexity", scores.perplexity()},
       {"accuracy", scores.accuracy},
       {"masked_tokens", scores.masked_tokens}},
      cat("loss ", util::format_fixed(scores.loss, 4), " nats per masked token, perplexity ",
          util::format_fixed(scores.perplexity(), 2), ", accuracy ", util::format_fixed(100 * scores.accuracy, 2),
          " % of ", util::format_count(scores.masked_tokens), " masked tokens\n"));
}

void run_task(const config::EvalConfig& config, bool as_json, const Session& session) {
  const glue::TaskSpec task =
      config.task_file.empty() ? glue::find_task(config.task) : glue::load_task_file(config.task_file, config.data);
  const bool is_default = config.data.empty() && config.task_file.empty();
  const auto scores = training().evaluate_task(config.model, task, is_default ? default_glue_folder() : config.data,
                                               config.runtime, session.stop);
  nlohmann::json json;
  std::string text;
  for (const auto& [name, metrics] : scores) {
    for (const auto& [metric, value] : metrics) {
      json[name][metric] = value;
      text += cat(name, " ", metric, " ", util::format_fixed(value, 2), "\n");
    }
  }
  print_result(as_json, scores.size() == 1 ? json.begin().value() : json, text);
}

void run(const config::EvalConfig& config, bool as_json, const Session& session) {
  const bool is_task = !config.task.empty() || !config.task_file.empty();
  const bool is_clear = is_task ? config.text.empty() && config.task.empty() != config.task_file.empty()
                                : config.data.empty() != config.text.empty();
  if (!is_clear) {
    throw ConfigError("give one of --data PACKED, --text FILE, --task T --data DIR, or --task-file FILE");
  }
  if (is_task) {
    run_task(config, as_json, session);
  } else {
    print_scores(training().evaluate_held_out(config, session.stop), as_json);
  }
}

}  // namespace

Run setup_eval(CLI::App& app) {
  const auto config = std::make_shared<config::EvalConfig>();
  const auto as_json = std::make_shared<bool>(false);
  const auto fields = config::fields_of(*config);
  ConfigFlags flags(app);
  flags.add_top_level(fields);
  flags.add_runtime(fields);
  flags.add_config_options();
  app.add_flag("--json", *as_json, "print the result as JSON");
  return [config, as_json, flags](const Session& session) {
    flags.apply(config::fields_of(*config), session);
    run(*config, *as_json, session);
  };
}

}  // namespace bertcram::cli
