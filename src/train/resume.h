#pragma once
// Where a session of a run begins: at the newest checkpoint that is whole and belongs to this run.

#include <string>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/train/pretrainer.h"
#include "bertcram/train/run_directory.h"
#include "training_state.h"

namespace bertcram::train {

/// What all sessions of a run have in common.
struct RunIdentity {
  const config::PretrainConfig& config;  ///< its tracked fields
  const std::string& data_id;            ///< of the packed data
  bool may_change = false;               ///< what is not built into the weights may differ: it is logged
};

/// Loads the newest checkpoint that is not damaged into `state`, or the one that was chosen, and puts newer ones aside.
/// @return false if there is none: the run starts
/// @throws ConfigError if it is a checkpoint of another run (names what differs); DataError if all are damaged
bool resume_run(const RunDirectory& run, const ResumeChoice& choice, const RunIdentity& identity, TrainingState& state);

/// Whether the checkpoint that a session begins at is one of this run, and not one of another's that was named.
bool is_own_checkpoint(const RunDirectory& run, const ResumeChoice& choice);

/// Brings the folder's files in line with the checkpoint that a session begins at: config.yaml and metrics.jsonl are
/// made again if somebody removed them, with a warning. What a checkpoint of another run says of its metrics counts for
/// nothing.
void settle_files(const RunDirectory& run, const ResumeChoice& choice, checkpoint::TrainState& position);

/// @throws ConfigError if the folder's config.yaml has other tracked values (names them)
void check_stored_config(const RunDirectory& run, const RunIdentity& identity);

}  // namespace bertcram::train
