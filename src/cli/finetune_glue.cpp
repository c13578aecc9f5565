// bertcram finetune-glue: a pretrained model → scores on GLUE or own tasks.

#include "bertcram/config/finetune_config.h"
#include "bertcram/util/error.h"
#include "command.h"
#include "config_flags.h"
#include "glue_folder.h"
#include "output.h"
#include "training.h"

namespace bertcram::cli {
namespace {

void run(config::FinetuneConfig& config, bool as_json, const Session& session) {
  if (!config.task_file.empty() && config.task != config::FinetuneConfig().task) {
    throw ConfigError("give --task or --task-file, not both");
  }
  if (config.data.empty() && config.task_file.empty()) {
    config.data = default_glue_folder();
  }
  outlive_readers();
  const auto outcome = training().run_finetune(config, {.stop = session.stop, .progress = session.progress});
  const auto folder = std::filesystem::absolute(outcome.results_file).parent_path();
  if (folder.filename() == "glue" &&
      std::filesystem::exists(folder.parent_path() / "status.json")) {  // beside its model
    renew_report(folder.parent_path());
  }
  const auto style = config.markdown ? glue::TableStyle::kMarkdown : glue::TableStyle::kPlain;
  print_result(
      as_json, nlohmann::json::parse(glue::results_to_json(outcome.results)),
      glue::format_results_table(outcome.results, style) + "\nresults in " + outcome.results_file.string() + "\n");
  if (outcome.failure) {
    std::rethrow_exception(outcome.failure);
  }
}

}  // namespace

Run setup_finetune_glue(CLI::App& app) { return setup_configured(app, "print the results as JSON", run); }

}  // namespace bertcram::cli
