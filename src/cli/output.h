#pragma once
// Results on stdout: for people, or as one JSON object with --json.

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace bertcram::cli {

/// Prints `json` when asked for it, otherwise `text`.
void print_result(bool as_json, const nlohmann::json& json, const std::string& text);

/// For commands that run long: a terminal or log reader that goes away does not end them (SIGPIPE would).
void outlive_readers();

/// Names the flags that were not given in one usage error: {{"--input", !config.input.empty()}, …}.
void require_flags(const std::vector<std::pair<std::string, bool>>& given);

}  // namespace bertcram::cli
