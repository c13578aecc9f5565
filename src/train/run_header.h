#pragma once
// What is said of a run before its first step.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/train/runtime.h"
#include "run_data.h"
#include "training_state.h"

namespace bertcram::train {

/// The line of metrics.jsonl that begins a session (docs/formats.md); measures the peak that `mfu` is a share of.
nlohmann::json run_header(const config::PretrainConfig& config, const Runtime& runtime, const RunData& data,
                          const TrainingState& state);

/// The run's config.yaml.
std::string config_text(const config::PretrainConfig& config);

/// What the last bits of a run depend on beside its configuration.
std::string circumstances_of(const Runtime& runtime, const checkpoint::Passes& passes);

/// Continuing elsewhere is allowed; that the numbers differ in the last digits has to be known.
/// @param room  of the log, and before the sentence, if it is not empty, `what` goes on
void warn_of_other_circumstances(const char* room, const std::string& what, const std::string& before,
                                 const std::string& now);

/// Two lines of the log: data and model. @param rows_per_pass  of the forward and backward passes
void log_run(const config::PretrainConfig& config, const Runtime& runtime, const RunData& data,
             const TrainingState& state, int64_t rows_per_pass);

}  // namespace bertcram::train
