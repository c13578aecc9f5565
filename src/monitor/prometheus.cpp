#include "prometheus.h"

#include <array>

#include "bertcram/util/error.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;

struct Gauge {
  const char* key;  ///< of WatchedRun::row
  const char* name;
  const char* help;
};

constexpr std::array<Gauge, 15> kGauges = {{
    {"step", "bertcram_step", "optimizer steps taken"},
    {"tokens", "bertcram_tokens", "tokens trained on"},
    {"budget_share", "bertcram_budget_share", "share of the budget that is spent, 0 to 1"},
    {"elapsed_seconds", "bertcram_elapsed_seconds", "seconds of training"},
    {"heartbeat_age_seconds", "bertcram_heartbeat_age_seconds", "seconds since the run was last heard of"},
    {"loss", "bertcram_loss", "training loss, nats per masked token"},
    {"eval_loss", "bertcram_eval_loss", "held-out loss, nats per masked token"},
    {"eval_accuracy", "bertcram_eval_accuracy", "held-out accuracy, 0 to 1"},
    {"lr", "bertcram_learning_rate", "learning rate"},
    {"grad_norm", "bertcram_gradient_norm", "norm of the gradient before clipping"},
    {"tokens_per_second", "bertcram_tokens_per_second", "training throughput"},
    {"mfu", "bertcram_mfu", "share of the machine's peak arithmetic, 0 to 1"},
    {"memory_bytes", "bertcram_memory_bytes", "peak memory of the training process or its GPU"},
    {"gpu_temperature", "bertcram_gpu_temperature_celsius", "temperature of the machine's GPU"},
    {"gpu_power_watts", "bertcram_gpu_power_watts", "power that it draws"},
}};

/// In a label's quotes.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : c == '\n' ? "\\n" : std::string(1, c);
  }
  return out;
}

}  // namespace

std::string prometheus_text(const RunStore& store) {
  std::vector<json> rows;
  for (const auto& run : store.all()) {
    rows.push_back(run->row());
  }
  const auto label = [](const json& row) {
    const auto name = row["name"].get<std::string>();  // need not be UTF-8, as labels must
    const std::string shown = util::valid_utf8(name);
    return "run=\"" + escaped(shown == name ? name : cat(shown, " (", row["id"].get<std::string>(), ")")) + "\"";
  };
  std::string text = "# HELP bertcram_run_state 1 for the state that the run is in\n# TYPE bertcram_run_state gauge\n";
  for (const json& row : rows) {
    text += "bertcram_run_state{" + label(row) + ",state=\"" + row["state"].get<std::string>() + "\"} 1\n";
  }
  for (const Gauge& gauge : kGauges) {
    std::string samples;
    for (const json& row : rows) {
      if (row[gauge.key].is_number()) {
        samples += std::string(gauge.name) + "{" + label(row) + "} " +
                   util::format_number(row[gauge.key].get<double>()) + "\n";
      }
    }
    if (!samples.empty()) {
      text += std::string("# HELP ") + gauge.name + " " + gauge.help + "\n# TYPE " + gauge.name + " gauge\n" + samples;
    }
  }
  return text;
}

}  // namespace bertcram::monitor
