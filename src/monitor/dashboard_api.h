#pragma once
// What the dashboard answers to a GET, without any network: docs/monitoring.md has the routes and their JSON.

#include <map>
#include <string>

#include "run_store.h"

namespace bertcram::monitor {

struct ApiRequest {
  std::string path;                                         ///< decoded, e.g. "/api/runs"
  std::multimap<std::string, std::string> parameters = {};  ///< decoded
};

struct ApiAnswer {
  int status = 200;
  std::string type = {};  ///< Content-Type
  std::string body = {};
};

/// `{"error": message}` for people and programs.
ApiAnswer error_answer(int status, const std::string& message);

/// Whether the path is of the page itself, which holds nothing of any run.
bool is_page(const std::string& path);

/// 404 for a path or run that does not exist, 400 for parameters that make no sense.
ApiAnswer answer(RunStore& store, const ApiRequest& request);

}  // namespace bertcram::monitor
