#pragma once
// What finetune-glue says while it works: in the log, and to --on-event.

#include <cstdint>
#include <string>

#include "bertcram/glue/results.h"
#include "bertcram/glue/unit_board.h"
#include "bertcram/monitor/run_events.h"
#include "counted_runs.h"
#include "finetune_plan.h"

namespace bertcram::train {

class FinetuneNews {
 public:
  /// @param protocol, board  outlive it
  FinetuneNews(const glue::Protocol& protocol, const glue::UnitBoard& board, monitor::RunEvents& events)
      : protocol_(protocol), board_(board), events_(events) {}

  /// What of the command was done before.
  void are_there(const CountedRuns& runs) const;
  /// @param pending  runs to be done  @param how  they are
  void begins(int64_t pending, int64_t jobs, const std::string& how) const;
  void unit_is_done(const glue::UnitRecord& record, const LoadedTask& task) const;
  /// Says nothing unless all runs of the task are done and have a result.
  void task_may_be_done(const LoadedTask& task, const glue::GlueResults& results) const;
  void task_failed(const std::string& task, const std::string& reason) const;

 private:
  const glue::Protocol& protocol_;
  const glue::UnitBoard& board_;
  monitor::RunEvents& events_;
};

}  // namespace bertcram::train
