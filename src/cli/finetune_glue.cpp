// bertcram finetune-glue: a pretrained model → scores on GLUE or own tasks.

#include "bertcram/config/finetune_config.h"
#include "bertcram/monitor/run_events.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "config_flags.h"
#include "glue_folder.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

/// "finished, mean of nine 71.3"
std::string summary(const train::FinetuneOutcome& outcome) {
  const auto average = glue::compute_averages(outcome.results).sane9;
  const size_t failed = outcome.results.failed.size();
  return cat("finished, ", outcome.results.tasks.size(), " scores",
             average ? cat(", mean of nine ", util::format_fixed(*average, 1)) : "",
             failed > 0 ? cat(", ", failed, " tasks failed") : "");
}

train::FinetuneOutcome tune_and_tell(const config::FinetuneConfig& config, const Session& session,
                                     monitor::RunEvents& events) {
  try {
    return training().run_finetune(config, {.stop = session.stop, .events = events, .progress = session.progress});
  } catch (const std::exception& error) {
    events.ended_by(error);
    throw;
  }
}

void run(config::FinetuneConfig& config, bool as_json, const Session& session, const ConfigFlags& flags) {
  const bool chooses_task = flags.gives("task") || config.task != config::FinetuneConfig().task;
  if (!config.task_file.empty() && chooses_task) {
    throw ConfigError("give --task or --task-file, not both");
  }
  if (config.data.empty() && config.task_file.empty()) {
    config.data = default_glue_folder();
  }
  config = config::with_settled_paths(config);
  outlive_readers();
  monitor::RunEvents events("finetune-glue", config::results_folder(config), config.on_event);
  const auto outcome = tune_and_tell(config, session, events);
  const auto results = util::parse_json(glue::results_to_json(outcome.results));
  nlohmann::json figures = {{"averages", results["averages"]},
                            {"failed", results.value("failed", nlohmann::json::object())},
                            {"results", outcome.results_file.string()}};
  const auto folder = std::filesystem::absolute(outcome.results_file).parent_path();
  const auto run_folder = folder.parent_path();
  if (folder.filename() == "glue" && std::filesystem::exists(run_folder / "status.json") && renew_report(run_folder)) {
    figures["report"] = (run_folder / "report.html").string();
  }
  events.send("finished", summary(outcome), std::move(figures));
  const auto style = config.markdown ? glue::TableStyle::kMarkdown : glue::TableStyle::kPlain;
  print_result(
      as_json, results,
      glue::format_results_table(outcome.results, style) + "\nresults in " + outcome.results_file.string() + "\n");
  if (outcome.failure) {
    std::rethrow_exception(outcome.failure);
  }
}

}  // namespace

Run setup_finetune_glue(CLI::App& app) { return setup_configured(app, "print the results as JSON", run); }

}  // namespace bertcram::cli
