#pragma once
// What --on-event is told of a run (docs/monitoring.md).

#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "bertcram/monitor/event_hook.h"

namespace bertcram::monitor {

/// Messages of one command: every one has `event`, `text` (a line for people), `command`, `run`, `folder`, `host`,
/// `unix_time`, and the figures of what happened. Thread-safe.
class RunEvents {
 public:
  /// @param command  "pretrain"  @param folder  of the run  @param hook  what to call; empty: nobody
  RunEvents(std::string command, const std::filesystem::path& folder, const std::string& hook);

  /// @param text  follows the run's name: "step 1,000: held-out loss 2.31"
  void send(const std::string& event, const std::string& text, nlohmann::json figures = nlohmann::json::object());
  /// The end by an exception: `diverged`, `stopped` or `failed`, with `reason`.
  void ended_by(const std::exception& error, nlohmann::json figures = nlohmann::json::object());

 private:
  nlohmann::json of_all_;
  EventHook hook_;
};

}  // namespace bertcram::monitor
