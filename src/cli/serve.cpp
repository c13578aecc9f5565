// bertcram serve: the live dashboard of training runs.

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "bertcram/monitor/dashboard.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "command.h"
#include "config_flags.h"
#include "load_function.h"
#include "output.h"

namespace bertcram::cli {
namespace {

struct ServeOptions {
  std::string runs = "runs";
  std::string token_file;
  monitor::DashboardOptions dashboard;
  bool as_json = false;
};

/// Files that others on the machine can read keep no secret.
void warn_of_readable_token(const std::string& file) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if ((fs::status(file, ignored).permissions() & (fs::perms::group_read | fs::perms::others_read)) != fs::perms::none) {
    util::log_warning("serve", cat(file, " can be read by other users of this machine; chmod 600 ", file));
  }
}

void run(const ServeOptions& options, const Session& session) {
  monitor::DashboardOptions dashboard = options.dashboard;
  dashboard.runs = options.runs;
  dashboard.token_file = options.token_file;
  if (!options.token_file.empty()) {
    warn_of_readable_token(options.token_file);
  } else if (options.dashboard.is_insecure) {
    util::log_warning("serve", "--insecure: whoever reaches this port can see the runs");
  }
  outlive_readers();
  const auto serve_dashboard = load_function<monitor::GetServeDashboard>(
      monitor::kDashboardModule, monitor::kGetServeDashboard, "the dashboard")();
  serve_dashboard(dashboard, session.stop, [&](const std::string& url) {
    const std::string hint = options.token_file.empty() ? "" : "; the page asks for the token of " + options.token_file;
    print_result(options.as_json, {{"url", url}}, cat("dashboard at ", url, hint, "\n"));
  });
}

}  // namespace

Run setup_serve(CLI::App& app) {
  constexpr int kLastPort = 65535;
  // An unset variable of the shell must not open the dashboard to everybody.
  const CLI::Validator is_given([](std::string& text) { return text.empty() ? "its value is empty" : ""; }, "");
  const auto options = std::make_shared<ServeOptions>();
  app.add_option("--runs", options->runs,
                 "folder with the output folders of 'bertcram pretrain', or one of these [runs]");
  take_count(app.add_option("--port", options->dashboard.port, "port to listen at; 0: any free one [8470]"), 0,
             kLastPort);
  app.add_option("--host", options->dashboard.host,
                 "address to listen at; 0.0.0.0: all of this machine, which needs --token-file [127.0.0.1]")
      ->check(is_given);
  app.add_option("--token-file", options->token_file,
                 "file with a token of at least 16 characters that viewers must give")
      ->check(is_given);
  app.add_flag("--insecure", options->dashboard.is_insecure, "listen at any address without a token");
  app.add_flag("--json", options->as_json, "print the address as JSON");
  return [options](const Session& session) { run(*options, session); };
}

}  // namespace bertcram::cli
