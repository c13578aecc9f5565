// bertcram eval: held-out masked-language-model figures, minimal pairs, or the dev score of a fine-tuned model.

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

void print_pairs(const train::PairScores& scores, bool as_json) {
  std::string text;
  for (const auto& [name, accuracy] : scores.paradigms) {
    text += cat(util::format_fixed(100 * accuracy, 1), " %  ", name, "\n");
  }
  text += cat(util::format_fixed(100 * scores.average, 2), " % of the pairs, average of ", scores.paradigms.size(),
              scores.paradigms.size() == 1 ? " paradigm\n" : " paradigms\n");
  print_result(as_json, {{"average", scores.average}, {"paradigms", scores.paradigms}}, text);
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

/// Elsewhere options of the held-out loss would be ignored, as they are in a configuration file, which may serve both.
void refuse_what_is_for_held_out(const ConfigFlags& flags) {
  std::vector<std::string> given;
  for (const char* name : {"rows", "micro_rows", "mask_prob", "seed"}) {
    if (flags.gives(name)) {
      given.push_back(flag_name(name));
    }
  }
  if (!given.empty()) {
    throw ConfigError(cat(util::join(given, ", "), given.size() == 1 ? " is" : " are",
                          " for --data and --text; --task, --task-file and --blimp score all they have"));
  }
}

void run(config::EvalConfig& config, bool as_json, const Session& session, const ConfigFlags& flags) {
  outlive_readers();
  const bool is_task = !config.task.empty() || !config.task_file.empty();
  const int others = (config.text.empty() ? 0 : 1) + (config.blimp.empty() ? 0 : 1);
  const bool is_clear = is_task ? others == 0 && config.task.empty() != config.task_file.empty()
                                : others + (config.data.empty() ? 0 : 1) == 1;
  if (!is_clear) {
    throw ConfigError("give one of --data PACKED, --text FILE, --blimp DIR, --task T --data DIR, or --task-file FILE");
  }
  if (is_task || !config.blimp.empty()) {
    refuse_what_is_for_held_out(flags);
  }
  if (is_task) {
    run_task(config, as_json, session);
  } else if (!config.blimp.empty()) {
    print_pairs(training().evaluate_pairs(config, session.stop, session.progress), as_json);
  } else {
    print_scores(training().evaluate_held_out(config, session.stop), as_json);
  }
}

}  // namespace

Run setup_eval(CLI::App& app) { return setup_configured(app, "print the result as JSON", run); }

}  // namespace bertcram::cli
