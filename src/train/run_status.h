#pragma once
// status.json: the state of a run, for who looks on and for the next session.

#include "bertcram/train/run_directory.h"
#include "bertcram/train/schedule.h"

namespace bertcram::train {

/// Replaces status.json. @param state running, stopped, diverged, failed or finished  @param share of the budget used
void write_status(const RunDirectory& run, const char* state, const Usage& usage, double share);

/// Whether status.json says that the run is finished.
bool says_finished(const RunDirectory& run);

}  // namespace bertcram::train
