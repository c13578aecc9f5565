// What the dashboard and reports read: the files of a run. Nothing in them may keep an answer from coming.

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bertcram/monitor/report.h"
#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "fuzz/targets.h"
#include "monitor/dashboard_api.h"
#include "monitor/run_facts.h"
#include "util/test_support.h"

namespace bertcram::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kNow = 1010;

constexpr const char* kStatus =
    R"({"state":"running","step":4,"tokens":40,"budget_share":0.5,"elapsed_seconds":8,"unix_time":1000})";
constexpr const char* kMetrics =
    R"({"event":"start","step":0,"seed":3,"device":"cpu","flops_per_token":1e9,"parameters":1000})"
    "\n"
    R"({"step":1,"tokens":10,"loss":9.5,"lr":0.001,"tokens_per_second":5,"elapsed_seconds":2,"mfu":null})"
    "\n"
    R"({"step":4,"tokens":40,"loss":7.25,"lr":0.002,"tokens_per_second":6,"elapsed_seconds":8,"mfu":0.5})"
    "\n"
    R"({"step":4,"tokens":40,"eval_loss":6.5,"eval_accuracy":0.25,"elapsed_seconds":8,)"
    R"("samples":[{"before":"the ","truth":"cat","after":" sat","top":[{"token":"dog","probability":0.5}]}]})"
    "\n";
constexpr const char* kConfig = "optim:\n  learning_rate: 0.003\nmodel: {layers: 2}\n";
constexpr const char* kGlue =
    R"({"protocol":"sane","averages":{"sane9":70.5},"tasks":{"rte":{"metric":"accuracy","median":55.5,"mean":55,)"
    R"("sd":1.5,"seeds":[54,56]},"own":{"metric":"f1","median":80}}})";

/// A run in `folder` with these bytes as its file of that name.
fs::path write_run(const fs::path& folder, const std::string& name, const std::string& bytes) {
  const fs::path run = folder / "runs" / "first";
  if (!fs::exists(run)) {
    write_bytes(run / "status.json", kStatus);
    write_bytes(run / "metrics.jsonl", kMetrics);
    write_bytes(run / "config.yaml", kConfig);
    write_bytes(run / "glue" / "results.json", kGlue);
  }
  write_bytes(run / name, bytes);
  return run;
}

/// Asks for everything that can be asked of a run.
/// @throws std::logic_error if an answer fails, or is no JSON where it says so
void show(const fs::path& run) {
  monitor::RunStore store(run.parent_path(), [] { return kNow; });
  store.refresh();
  const std::string api = "/api/runs/" + store.news(0).at("ids").at(0).get<std::string>();
  for (const std::string& path :
       {std::string("/api/runs"), std::string("/metrics"), api, api + "/series", api + "/log", api + "/metrics.csv"}) {
    const monitor::ApiAnswer answer = monitor::answer(store, {.path = path});
    if (answer.status != 200 || (answer.type == "application/json" && !util::try_parse_json(answer.body).is_object())) {
      throw std::logic_error(cat(path, ": ", answer.status, " ", answer.body));
    }
  }
  const std::vector<monitor::RunFacts> facts = {monitor::read_run(run, kNow)};
  monitor::report_html(facts, monitor::report_plots(facts));
}

/// @throws DataError if the report says less because of damage
template <class IsWhole>
auto reader_of(const char* name, IsWhole is_whole) {
  return [=](const std::string& bytes, const fs::path& folder) {
    const fs::path run = write_run(folder, name, bytes);
    show(run);
    if (!is_whole(monitor::read_run(run, kNow))) {
      throw DataError("damaged");
    }
  };
}

}  // namespace

std::vector<FuzzTarget> monitor_targets() {
  return {{"metrics", [] { return std::vector<std::string>{kMetrics}; },
           reader_of("metrics.jsonl", [](const auto& run) { return run.metrics.damaged_lines() == 0; })},
          {"status", [] { return std::vector<std::string>{kStatus}; },
           reader_of("status.json", [](const auto& run) { return run.status.state != "unknown"; })},
          {"run_config", [] { return std::vector<std::string>{kConfig}; },
           reader_of("config.yaml", [](const auto& run) { return run.changes.size() == 2; })},
          {"glue_results", [] { return std::vector<std::string>{kGlue}; },
           reader_of("glue/results.json", [](const auto& run) { return monitor::tasks_of(run).size() == 2; })}};
}

}  // namespace bertcram::test
