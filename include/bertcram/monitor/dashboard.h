#pragma once
// The live dashboard: one page for a folder of runs, its JSON API and Prometheus' metrics, over HTTP. Nothing that is asked
// of it changes a run. Routes: docs/monitoring.md.

#include <filesystem>
#include <functional>
#include <string>

#include "bertcram/util/stop.h"

namespace bertcram::monitor {

struct DashboardOptions {
  std::filesystem::path runs = {};        ///< a folder of run folders, or one of these
  std::string host = "127.0.0.1";         ///< address or name to listen at
  int port = 8470;                        ///< 0: a free one
  std::filesystem::path token_file = {};  ///< holds the token that the API then asks for; empty: none
  bool is_insecure = false;               ///< may listen at other addresses than loopback without a token
};

/// Serves until asked to stop.
/// @param announce  gets the page's address once it can be opened
/// @throws ConfigError if others could look in without a token; DataError for a folder or token file that will not do;
///         ResourceError if the port cannot be had, naming a free one; StoppedError at the end
void serve_dashboard(const DashboardOptions& options, const util::StopFlag& stop,
                     const std::function<void(const std::string& url)>& announce);

/// The boundary between bertcram and libbertcram_dashboard.so, which alone links cpp-httplib and with it OpenSSL: no other
/// command waits for these to load.
inline constexpr const char* kDashboardModule = "libbertcram_dashboard.so";
/// What the module exports: a function that returns `serve_dashboard`.
inline constexpr const char* kGetServeDashboard = "bertcram_serve_dashboard";
using GetServeDashboard = decltype (&serve_dashboard)();

}  // namespace bertcram::monitor
