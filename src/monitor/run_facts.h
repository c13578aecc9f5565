#pragma once
// What reports take out of a run's files.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bertcram/monitor/report.h"

namespace bertcram::monitor {

/// Takes over a config.yaml: its text and what differs from the defaults. One that this version cannot read has text alone.
/// @return the folder of the packed data that it names; empty if it cannot be read
std::filesystem::path take_config(RunFacts& run, std::string yaml);

/// The values of a column, none if there is no such column.
std::vector<double> column_of(const MetricsTable& table, const std::string& name);

/// The last finite value of a column.
std::optional<double> last_of(const MetricsTable& table, const std::string& name);

/// A member that is a number, otherwise 0.
double number_of(const nlohmann::json& object, const char* key);

/// The GLUE tasks of results.json that have a median, in GLUE's order, own ones last.
std::vector<std::pair<std::string, nlohmann::json>> tasks_of(const RunFacts& run);

/// A gap in held-out text, with what the model expected there, the most probable first.
struct ShownSample {
  std::string before = {};
  std::string truth = {};
  std::string after = {};
  std::vector<std::pair<std::string, double>> top = {};  ///< token and probability, 0..1
};

/// Of the last evaluation that gave some; what is damaged is left out.
std::vector<ShownSample> samples_of(const RunFacts& run);

/// sane9, where all nine entries are there.
std::optional<double> average_of(const RunFacts& run);

/// Of the model's arithmetic, for all tokens that the run has trained on; 0 if that is not known.
double flops_of(const RunFacts& run);

}  // namespace bertcram::monitor
