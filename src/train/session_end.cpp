#include "session_end.h"

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/stop.h"
#include "bertcram/util/text.h"
#include "run_status.h"

namespace bertcram::train {

void note_status(const SessionEnd& end, const char* state) noexcept {
  try {
    write_status(end.run, state, end.usage, end.share);
  } catch (const std::exception& error) {
    util::log_warning("pretrain", cat("status.json: ", error.what()));
  }
}

void end_diverged(const SessionEnd& end, const std::string& why) {
  note_status(end, "diverged");
  throw DivergedError(cat("pretrain: ", why,
                          "; start again with a lower optim.learning_rate and another --output, or go "
                          "on from a checkpoint with --allow-config-change"));
}

void end_stopped(const SessionEnd& end, const PretrainContext& context, const std::string& saved) {
  note_status(end, "stopped");
  const bool is_usual = context.resume.kind == ResumeChoice::Kind::kAuto;
  throw util::StoppedError(context.stop, cat("pretrain: stopped at step ", end.usage.steps, " ", saved,
                                             "; the same command ", is_usual ? "" : "without --resume ", "continues"));
}

}  // namespace bertcram::train
