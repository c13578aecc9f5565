#include <cmath>

#include "bertcram/glue/published.h"
#include "bertcram/util/error.h"
#include "bertcram/util/text.h"
#include "run_facts.h"

namespace bertcram::monitor {
namespace {

using nlohmann::json;

/// Steps at which sessions after the first began.
std::vector<double> interruptions_of(const RunFacts& run) {
  std::vector<double> steps;
  for (size_t i = 1; i < run.metrics.starts().size(); ++i) {
    const json& start = run.metrics.starts()[i];
    if (start.contains("step") && start["step"].is_number()) {
      steps.push_back(start["step"].get<double>());
    }
  }
  return steps;
}

/// A training column of every run by steps, smoothed, the raw values faint behind it.
Plot training_plot(const std::vector<RunFacts>& runs, const std::string& title, const std::string& column, Axis y,
                   double span) {
  Plot plot = {.title = title, .x = {.label = "optimizer steps"}, .y = std::move(y)};
  for (const RunFacts& run : runs) {
    const MetricsTable& table = run.metrics.training();
    const std::vector<double> values = column_of(table, column);
    if (span > 1) {
      plot.curves.push_back({.name = run.name, .x = table.steps, .y = values, .is_faint = true});
    }
    plot.curves.push_back({.name = run.name, .x = table.steps, .y = smoothed(values, span)});
  }
  if (runs.size() == 1) {
    plot.rules = interruptions_of(runs.front());
  }
  return plot;
}

Plot loss_plot(const std::vector<RunFacts>& runs, const std::string& by) {
  const bool by_time = by == "elapsed_seconds";
  Plot plot = {.title = by_time ? "Loss by training time" : "Loss by tokens",
               .x = {.label = by_time ? "hours" : "tokens"},
               .y = {.label = "nats per masked token"}};
  const auto place = [&](const MetricsTable& table) {
    std::vector<double> values = column_of(table, by);
    for (double& value : values) {
      value /= by_time ? 3600 : 1;
    }
    return values;
  };
  for (const RunFacts& run : runs) {
    const MetricsTable& training = run.metrics.training();
    const MetricsTable& held_out = run.metrics.evaluations();
    const std::string prefix = runs.size() > 1 ? run.name + ": " : "";
    const std::vector<double> values = column_of(training, "loss");
    if (runs.size() == 1) {
      plot.curves.push_back({.name = "training", .x = place(training), .y = values, .is_faint = true});
      plot.curves.push_back({.name = "training", .x = place(training), .y = smoothed(values, 8)});
    }
    plot.curves.push_back({.name = prefix + "held out", .x = place(held_out), .y = column_of(held_out, "eval_loss")});
  }
  return plot;
}

/// The mean over seeds and its spread, and hollow beside them the published rows whose compute is known.
Plot task_plot(const RunFacts& run) {
  Plot plot = {.title = "GLUE dev sets: this model (mean ± sd of its seeds) and published ones (hollow)",
               .y = {.label = "score"}};
  for (const auto& [name, task] : tasks_of(run)) {
    const auto place = static_cast<double>(plot.categories.size());
    plot.categories.push_back(name);
    for (const glue::PublishedRow& row : glue::published_rows()) {
      if (const auto found = row.scores.find(name); found != row.scores.end() && row.flops > 0) {
        plot.markers.push_back(
            {.tip = cat(row.name, ": ", util::format_fixed(found->second, 1)), .x = place + 0.15, .y = found->second});
      }
    }
    const double mean = number_of(task, "mean");
    const double sd = number_of(task, "sd");
    plot.markers.push_back({.name = util::format_fixed(mean, 1),
                            .x = place,
                            .y = mean,
                            .low = mean - sd,
                            .high = mean + sd,
                            .is_ours = true});
  }
  return plot;
}

/// What the seed's author drew by hand.
Plot compute_plot(const std::vector<RunFacts>& runs) {
  Plot plot = {.title = "GLUE average against training compute",
               .x = {.label = "FLOPs of the model's arithmetic, forward and backward", .is_log = true},
               .y = {.label = "mean of nine numbers (sane9)"}};
  for (const glue::PublishedRow& row : glue::published_rows()) {
    if (row.flops > 0 && row.is_nine) {
      plot.markers.push_back({.name = row.name, .x = row.flops, .y = row.average});
    }
  }
  for (const RunFacts& run : runs) {
    if (const auto average = average_of(run); average && flops_of(run) > 0) {
      plot.markers.push_back({.name = run.name, .x = flops_of(run), .y = *average, .is_ours = true});
    }
  }
  return plot;
}

}  // namespace

std::vector<NamedPlot> report_plots(const std::vector<RunFacts>& runs) {
  std::vector<NamedPlot> plots = {{"loss-by-time", loss_plot(runs, "elapsed_seconds")},
                                  {"loss-by-tokens", loss_plot(runs, "tokens")}};
  plots.push_back({"learning-rate", training_plot(runs, "Learning rate", "lr", {.label = "learning rate"}, 1)});
  plots.push_back({"gradient-norm", training_plot(runs, "Gradient norm before clipping", "grad_norm",
                                                  {.label = "norm", .is_log = true}, 8)});
  plots.push_back({"throughput", training_plot(runs, "Throughput; dashed: a new session", "tokens_per_second",
                                               {.label = "tokens per second"}, 5)});
  for (const RunFacts& run : runs) {
    if (!tasks_of(run).empty()) {
      plots.push_back({runs.size() > 1 ? "glue-" + run.name : "glue", task_plot(run)});
    }
  }
  plots.push_back({"compute", compute_plot(runs)});
  for (NamedPlot& plot : plots) {
    plot.svg = svg_of(plot.plot);
  }
  return plots;
}

}  // namespace bertcram::monitor
