#pragma once
// How a session ends before its run does: what status.json says, and the error.

#include <string>

#include "bertcram/train/pretrainer.h"
#include "bertcram/train/run_directory.h"
#include "bertcram/train/schedule.h"

namespace bertcram::train {

/// Where a session ends.
struct SessionEnd {
  const RunDirectory& run;
  Usage usage;
  double share = 0;  ///< of the budget, used
};

/// Writes status.json. That it cannot be written is logged: it must not take the place of what ended the session.
/// @param state  stopped, diverged or failed
void note_status(const SessionEnd& end, const char* state) noexcept;

/// @param why  what went wrong  @throws DivergedError
[[noreturn]] void end_diverged(const SessionEnd& end, const std::string& why);

/// @param saved  what became of the state, e.g. "after writing a checkpoint"  @throws StoppedError
[[noreturn]] void end_stopped(const SessionEnd& end, const PretrainContext& context, const std::string& saved);

}  // namespace bertcram::train
