#pragma once
// The runs under a folder as all viewers of the dashboard share them: each file is read once, whoever looks.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bertcram/monitor/report.h"
#include "bertcram/util/stop.h"
#include "file_view.h"
#include "last_lines.h"

namespace bertcram::monitor {

/// A run. Safe to use from several threads. What is cheap (`look`, for the list) and what may take long (`answer`, for who
/// opened it) have a lock each.
class WatchedRun {
 public:
  /// @param within  canonical; files that links lead out of it count as missing
  WatchedRun(std::string id, std::string name, std::filesystem::path folder, std::filesystem::path within);

  const std::string& id() const { return id_; }
  const std::string& name() const { return name_; }

  /// Looks at the heartbeat, the last lines and whether there are new GLUE scores. @param now  unix time  @return whether anything but their age is new
  bool look(double now);
  /// What the last look found, for the list: docs/monitoring.md, `/api/runs`.
  nlohmann::json row() const;

  /// By what it is worth reading before somebody asks: when it was last heard of, unix time.
  double heard_of(double now) const;

  using Make = std::function<std::string(const RunFacts&)>;
  /// The answer to a question on the whole run, made once until the run's files change; they are looked at once a second, and when
  /// a look has found something new: who asks because of it gets it.
  /// @param question  what tells the answers of different `make` apart
  std::shared_ptr<const std::string> answer(const std::string& question, double now, const Make& make);

  /// The last lines of run.log, at most 64 KiB of it.
  std::vector<std::string> log_lines(size_t most) const;

  std::atomic<int64_t> version = 0;  ///< of the store, when a look last found something new

 private:
  using Stamps = std::vector<FileStamp>;
  Stamps stamps() const;
  void read_facts(double now);
  void forget_facts();

  const std::string id_;
  const std::string name_;
  const std::filesystem::path folder_;
  const std::filesystem::path within_;

  mutable std::mutex row_mutex_;
  RunStatus status_;
  nlohmann::json last_ = nlohmann::json::object();  ///< of read_last_lines
  FileStamp metrics_stamp_;
  FileStamp glue_stamp_;

  std::mutex facts_mutex_;
  RunFacts facts_;
  Stamps facts_stamps_;
  double facts_time_ = 0;      ///< unix time of the last look at the stamps
  int64_t facts_version_ = 0;  ///< `version` at that time
  std::map<std::string, std::shared_ptr<const std::string>> answers_;
  std::atomic<double> asked_time_ = 0;
};

/// Safe to use from several threads.
class RunStore {
 public:
  using Clock = std::function<double()>;

  /// @param clock  gives unix time  @throws DataError if the folder is not there
  RunStore(const std::filesystem::path& folder, Clock clock);

  /// Looks for runs and at each of them, unless that was done within the last second or is being done by another thread.
  void refresh();

  /// Reads the runs that go on and the newest others, so that who opens one first does not wait: some 50 MB of metrics take a
  /// second. Ends early if asked to.
  void read_ahead(const util::StopFlag& stop) const;

  /// `{"version", "runs": [row…]}`: the runs with news since that version, 0 = all; with `ids`, those of all runs, if a run
  /// came or went since then.
  nlohmann::json news(int64_t since) const;

  /// The news since a version as an event of server-sent events, made once for all who ask for it within a second.
  struct Event {
    int64_t version = 0;    ///< to ask with the next time
    bool has_news = false;  ///< a row, or ids
    std::string text;
  };
  std::shared_ptr<const Event> event(int64_t since);

  /// nullptr if no such run was found: ids come from requests and never become part of a path.
  std::shared_ptr<WatchedRun> find(const std::string& id) const;
  std::vector<std::shared_ptr<WatchedRun>> all() const;
  double now() const { return clock_(); }

 private:
  void look_for_runs();

  const std::filesystem::path folder_;
  const Clock clock_;

  std::mutex refresh_mutex_;
  double refreshed_ = 0;   ///< unix time
  double looked_for_ = 0;  ///< unix time at which the folder was last searched
  double search_seconds_ = 0;

  mutable std::mutex runs_mutex_;
  std::map<std::string, std::shared_ptr<WatchedRun>> runs_;  ///< by id
  std::atomic<int64_t> version_ = 0;                         ///< changed under the lock
  int64_t set_version_ = 0;                                  ///< at which a run last came or went

  std::mutex events_mutex_;
  std::map<int64_t, std::shared_ptr<const Event>> events_;  ///< by the version since which, of this time and version:
  double events_time_ = 0;                                  ///< unix time
  int64_t events_version_ = 0;
};

}  // namespace bertcram::monitor
