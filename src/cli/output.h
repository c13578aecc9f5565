#pragma once
// Results on stdout: for people, or as one JSON object with --json.

#include <CLI/App.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace bertcram::cli {

/// @throws ResourceError if standard output does not take it
void write_stdout(std::string_view text);

/// Prints `json` when asked for it, otherwise `text`. @throws ResourceError as write_stdout
void print_result(bool as_json, const nlohmann::json& json, const std::string& text);

/// Writes the report.html of a training run again, after what was added to it. What goes wrong is a warning: the run stands.
/// @return whether it was written
bool renew_report(const std::filesystem::path& run);

/// For commands that run long and print one result: a terminal or log reader that goes away does not end them (SIGPIPE would).
void outlive_readers();

/// Names the flags that were not given in one usage error: {{"--input", !config.input.empty()}, …}.
void require_flags(const std::vector<std::pair<std::string, bool>>& given);

}  // namespace bertcram::cli
