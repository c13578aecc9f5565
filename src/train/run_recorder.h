#pragma once
// What a run tells the world while it trains: metrics.jsonl, event files, status.json, the log and the live line.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/monitor/gpu_sensors.h"
#include "bertcram/monitor/metrics_sink.h"
#include "bertcram/monitor/run_events.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/train/held_out.h"
#include "bertcram/train/run_directory.h"
#include "bertcram/train/schedule.h"
#include "gap_samples.h"
#include "run_terminal.h"
#include "step_figures.h"

namespace bertcram::train {

/// Keeps a run's books while it trains: lines of metrics.jsonl and event files every so many steps, a heartbeat in
/// status.json, evaluations with the gaps that the model filled in, the live line. What the folder loses meanwhile is made
/// again, and a line or heartbeat that cannot be written does not end a run.
class RunRecorder {
 public:
  /// Writes config.yaml, points `latest` at the run and goes on with its files; `start` is where this session begins.
  /// @param events  hears of the start, evaluations, and going back
  RunRecorder(RunDirectory& run, const config::PretrainConfig& config, const Usage& start, util::ProgressStyle progress,
              monitor::RunEvents& events);

  void header(const nlohmann::json& about_the_run);
  /// Moves the live line, and the heartbeat if that is a quarter of a minute old; every so many steps, a line of metrics.
  /// @param share of the budget used
  void step(const Usage& usage, const StepFigures& figures, double share);
  /// A line of metrics of the last step, if it has none.
  void last_step(const Usage& usage, const StepFigures& figures, double share);
  /// @param share of the budget used
  void evaluation(const Usage& usage, const HeldOutScores& scores, const std::vector<GapSample>& samples,
                  double unigram_entropy, double share);
  /// In a step, before its update: every so often, for tensorboard, how the numbers of each layer are distributed, as
  /// "weights/LAYER" and "gradients/LAYER". @param divisor  of the gradients
  void layers(int64_t step, nn::Parameters& parameters, double divisor);
  /// Cuts metrics.jsonl to what a checkpoint remembers: the run goes on from there. @param reason  what was wrong
  void rewind(const Usage& start, int64_t metrics_bytes, const std::string& reason);
  /// Time that was not training: left out of the rate in the next metrics line, which has the part that no evaluation
  /// needed (logging, checkpoints) as overhead.
  void leave_out(double seconds, double evaluation_seconds) {
    last_.seconds += seconds;
    overhead_seconds_ += seconds - evaluation_seconds;
  }

  int64_t metrics_bytes() { return metrics_.flushed_bytes(); }

 private:
  /// A metrics line, the heartbeat and the live line's text.
  void log(const Usage& usage, const StepFigures& figures, double share);
  void heartbeat(const Usage& usage, double share);
  void restore_what_is_gone();

  RunDirectory& run_;
  std::string config_yaml_;
  int64_t log_every_steps_;
  int64_t histograms_every_steps_;
  monitor::MetricsSink metrics_;
  monitor::RunEvents& events_;
  nlohmann::json header_;
  int64_t session_begins_ = 0;  ///< bytes of metrics.jsonl before this session's header
  bool is_failing_ = false;     ///< the last heartbeat could not be written
  RunTerminal terminal_;
  monitor::GpuSensors sensors_;
  double peak_flops_ = 0;        ///< of the machine
  double flops_per_token_ = 0;   ///< of the model
  Usage last_;                   ///< at the last metrics line, for the rate
  double heartbeat_seconds_;     ///< elapsed time of the last heartbeat
  double load_seconds_ = 0;      ///< since the last metrics line
  double overhead_seconds_ = 0;  ///< likewise
};

}  // namespace bertcram::train
