// bertcram report: training runs → one HTML file with plots, scores and settings.

#include "bertcram/monitor/report.h"

#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "command.h"
#include "output.h"

namespace bertcram::cli {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string output;
  bool as_json = false;
};

void run(const ReportOptions& options) {
  if (options.runs.size() > 1 && options.output.empty()) {
    throw ConfigError("--output is needed for a report on several runs");
  }
  const std::filesystem::path output = options.output.empty()
                                           ? std::filesystem::path(options.runs.front()) / "report.html"
                                           : std::filesystem::path(options.output);
  const std::string ending = util::to_lower_ascii(output.extension().string());
  if (ending != ".html" && ending != ".htm") {  // nor any file of a run by mistake
    throw ConfigError(cat("--output ", output.string(), ": expected a name that ends in .html"));
  }
  monitor::write_report({options.runs.begin(), options.runs.end()}, output);
  print_result(options.as_json, {{"report", output.string()}}, cat("report in ", output.string(), "\n"));
}

}  // namespace

Run setup_report(CLI::App& app) {
  const auto options = std::make_shared<ReportOptions>();
  app.add_option("RUN", options->runs, "output folders of 'bertcram pretrain'")->required();
  app.add_option(
      "--output", options->output,
      "the HTML file, NAME.html; its plots go into NAME-plots/ beside it; default: report.html in the run's folder");
  app.add_flag("--json", options->as_json, "print the path as JSON");
  return [options](const Session&) { run(*options); };
}

}  // namespace bertcram::cli
