#include "bertcram/monitor/run_events.h"

#include <chrono>

#include "bertcram/util/error.h"
#include "bertcram/util/stop.h"
#include "host_name.h"

namespace bertcram::monitor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Of a folder as it was given: "runs/first/" is "first"; "runs/first/glue", as all runs have one, is "first/glue".
std::string name_of(const fs::path& whole) {
  const fs::path folder = whole.has_filename() ? whole : whole.parent_path();
  const std::string leaf = folder.filename().string();
  const bool is_our_name = leaf == "glue" || leaf == "glue-random" || leaf == "model";
  return is_our_name ? (folder.parent_path().filename() / leaf).string() : leaf;
}

}  // namespace

RunEvents::RunEvents(std::string command, const fs::path& folder, const std::string& hook) : hook_(hook) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  of_all_ = {
      {"command", std::move(command)}, {"run", name_of(whole)}, {"folder", whole.string()}, {"host", host_name()}};
}

void RunEvents::send(const std::string& event, const std::string& text, json figures) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  json message = std::move(figures);
  message.update(of_all_);
  message["event"] = event;
  message["text"] = cat(of_all_["run"].get<std::string>(), ": ", text);
  message["unix_time"] = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  hook_.send(event, message);
}

void RunEvents::ended_by(const std::exception& error, json figures) {
  const std::string event = dynamic_cast<const DivergedError*>(&error)        ? "diverged"
                            : dynamic_cast<const util::StoppedError*>(&error) ? "stopped"
                                                                              : "failed";
  figures["reason"] = error.what();
  send(event, cat(event, ", ", error.what()), std::move(figures));
}

}  // namespace bertcram::monitor
