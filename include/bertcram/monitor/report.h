#pragma once
// A training run, or several beside each other, as one HTML file that needs no other: to keep, to print, to send.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bertcram/monitor/run_reader.h"
#include "bertcram/monitor/svg_plot.h"

namespace bertcram::monitor {

/// What a report knows of a run; of files that are missing or damaged it shows nothing.
struct RunFacts {
  std::string name = {};  ///< of its folder
  RunStatus status = {};
  MetricsReader metrics{{}};
  std::string config = {};                ///< config.yaml
  std::vector<std::string> changes = {};  ///< what differs from the defaults, as "optim.learning_rate: 1e-03 -> 2e-03"
  nlohmann::json glue = {};               ///< glue/results.json
  nlohmann::json data = {};               ///< manifest.json of the packed data, if it is still where it was
};

/// @param now  unix time. @throws DataError if the folder holds no run
RunFacts read_run(const std::filesystem::path& folder, double now);

/// A plot, the name of its file, e.g. "learning-rate", and the drawing.
struct NamedPlot {
  std::string name;
  Plot plot;
  std::string svg = {};
};

/// Those that the runs have something for: loss, learning rate, gradient norm, throughput, GLUE by task, GLUE by compute.
std::vector<NamedPlot> report_plots(const std::vector<RunFacts>& runs);

std::string report_html(const std::vector<RunFacts>& runs, const std::vector<NamedPlot>& plots);

/// Writes the report, and the plots as SVG files into the folder `NAME-plots` beside it.
/// @throws DataError if a folder holds no run; ResourceError
void write_report(const std::vector<std::filesystem::path>& runs, const std::filesystem::path& output);

}  // namespace bertcram::monitor
