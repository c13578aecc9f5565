#include "output.h"

#include <csignal>
#include <cstdio>

#include "bertcram/monitor/report.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::cli {

void print_result(bool as_json, const nlohmann::json& json, const std::string& text) {
  const std::string line = as_json ? util::json_text(json) + "\n" : text;
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fflush(stdout) != 0) {
    throw ResourceError("cannot write to standard output");
  }
}

bool renew_report(const std::filesystem::path& run) {
  try {
    monitor::write_report({run}, run / "report.html");
    return true;
  } catch (const Error& error) {
    util::log_warning("report", error.what());
    return false;
  }
}

void outlive_readers() { std::signal(SIGPIPE, SIG_IGN); }

void require_flags(const std::vector<std::pair<std::string, bool>>& given) {
  std::vector<std::string> missing;
  for (const auto& [flag, is_given] : given) {
    if (!is_given) {
      missing.push_back(flag);
    }
  }
  if (!missing.empty()) {
    throw ConfigError(cat("missing ", util::join(missing, ", "), "; see --help for an example"));
  }
}

}  // namespace bertcram::cli
