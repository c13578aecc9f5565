#include "output.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "bertcram/monitor/report.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::cli {

void write_stdout(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw ResourceError(cat("cannot write to standard output: ", std::strerror(errno)));
  }
}

void print_result(bool as_json, const nlohmann::json& json, const std::string& text) {
  write_stdout(as_json ? util::json_text(json) + "\n" : text);
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
