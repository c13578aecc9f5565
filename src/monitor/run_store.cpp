#include "run_store.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>

#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "run_facts.h"

namespace bertcram::monitor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kLookSeconds = 1;
constexpr double kForgetSeconds = 600;               ///< after which a run that nobody asks for leaves the memory
constexpr size_t kMostFileBytes = size_t{4} << 20U;  ///< of config.yaml and results.json
constexpr size_t kMostAnswers = 48;

/// Empty if it is missing.
std::string text_of(const fs::path& path, const fs::path& within) {
  const FileView file(path, within);
  return file.is_open() ? file.read(0, kMostFileBytes) : std::string();
}

bool is_past(double now, double then, double seconds) {
  return std::abs(now - then) >= seconds;
}  // clocks are set, too

bool is_same(const RunStatus& a, const RunStatus& b) {
  return a.state == b.state && a.step == b.step && a.tokens == b.tokens && a.budget_share == b.budget_share &&
         a.elapsed_seconds == b.elapsed_seconds;
}

/// null unless it is a finite number.
json figure(const json& line, const char* key) {
  const auto found = line.is_object() ? line.find(key) : line.end();
  const bool is_there = line.is_object() && found != line.end() && found->is_number();
  return is_there && std::isfinite(found->get<double>()) ? *found : json();
}

}  // namespace

WatchedRun::WatchedRun(std::string id, std::string name, fs::path folder, fs::path within)
    : id_(std::move(id)), name_(std::move(name)), folder_(std::move(folder)), within_(std::move(within)) {
  forget_facts();
}

bool WatchedRun::look(double now) {
  if (is_past(now, asked_time_, kForgetSeconds)) {
    if (const std::unique_lock lock(facts_mutex_, std::try_to_lock); lock && !facts_stamps_.empty()) {
      forget_facts();
    }
  }
  const RunStatus status = read_status(folder_, now, within_);
  const FileView file(folder_ / "metrics.jsonl", within_);
  const FileStamp stamp = file.stamp();
  const FileStamp glue_stamp = FileView(folder_ / "glue" / "results.json", within_).stamp();
  const std::lock_guard lock(row_mutex_);
  const bool is_new = !is_same(status, status_) || stamp != metrics_stamp_ || glue_stamp != glue_stamp_;
  status_ = status;
  glue_stamp_ = glue_stamp;
  if (stamp != metrics_stamp_) {
    json last = file.is_open() ? read_last_lines(file) : json::object();
    if (last["evaluation"].is_null() && stamp.inode == metrics_stamp_.inode && stamp.size > metrics_stamp_.size) {
      last["evaluation"] = std::move(last_["evaluation"]);  // too far from the end by now
    }
    last_ = std::move(last);
    metrics_stamp_ = stamp;
  }
  return is_new;
}

double WatchedRun::heard_of(double now) const {
  const std::lock_guard lock(row_mutex_);
  return now - status_.age_seconds;
}

json WatchedRun::row() const {
  const std::lock_guard lock(row_mutex_);
  const bool is_on_its_way = status_.state == "running" && status_.budget_share > 0;
  json row = {{"id", id_},
              {"name", name_},
              {"state", status_.state},
              {"step", status_.step},
              {"tokens", status_.tokens},
              {"budget_share", status_.budget_share},
              {"elapsed_seconds", status_.elapsed_seconds},
              {"heartbeat_age_seconds", std::floor(status_.age_seconds)},
              {"eta_seconds", is_on_its_way ? json(std::round(status_.elapsed_seconds * (1 - status_.budget_share) /
                                                              status_.budget_share))
                                            : json()},
              {"metrics_bytes", metrics_stamp_.size}};
  for (const char* key :
       {"loss", "lr", "grad_norm", "tokens_per_second", "mfu", "memory_bytes", "gpu_temperature", "gpu_power_watts"}) {
    row[key] = figure(last_.value("training", json()), key);
  }
  for (const char* key : {"eval_loss", "eval_accuracy"}) {
    row[key] = figure(last_.value("evaluation", json()), key);
  }
  return row;
}

WatchedRun::Stamps WatchedRun::stamps() const {
  const auto stamp_of = [this](const char* name) { return FileView(folder_ / name, within_).stamp(); };
  return {stamp_of("metrics.jsonl"), stamp_of("status.json"), stamp_of("config.yaml"), stamp_of("glue/results.json")};
}

void WatchedRun::forget_facts() {
  facts_ = RunFacts();
  facts_.name = name_;
  facts_.metrics = MetricsReader(folder_ / "metrics.jsonl", within_);
  facts_stamps_.clear();
  answers_.clear();
}

void WatchedRun::read_facts(double now) {
  facts_time_ = now;
  facts_version_ = version;
  Stamps seen = stamps();  // before reading: what comes meanwhile is seen the next time
  if (seen == facts_stamps_) {
    return;
  }
  facts_stamps_ = std::move(seen);
  answers_.clear();
  facts_.status = read_status(folder_, now, within_);
  facts_.metrics.refresh();
  take_config(facts_, text_of(folder_ / "config.yaml", within_));
  facts_.glue = util::try_parse_json(text_of(folder_ / "glue" / "results.json", within_));
}

std::shared_ptr<const std::string> WatchedRun::answer(const std::string& question, double now, const Make& make) {
  asked_time_ = now;
  const std::lock_guard lock(facts_mutex_);
  if (facts_stamps_.empty() || facts_version_ != version || is_past(now, facts_time_, kLookSeconds)) {
    read_facts(now);
  }
  const auto known = answers_.find(question);
  if (known != answers_.end()) {
    return known->second;
  }
  if (answers_.size() >= kMostAnswers) {
    answers_.clear();
  }
  return answers_[question] = std::make_shared<const std::string>(make(facts_));
}

std::vector<std::string> WatchedRun::log_lines(size_t most) const {
  constexpr int64_t kMostBytes = int64_t{1} << 16;
  const FileView file(folder_ / "run.log", within_);
  if (!file.is_open()) {
    return {};
  }
  const int64_t begin = std::max<int64_t>(0, file.size() - kMostBytes);
  std::istringstream text(file.read(begin, static_cast<size_t>(kMostBytes)));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    lines.push_back(std::move(line));
  }
  if (begin > 0 && !lines.empty()) {
    lines.erase(lines.begin());  // its beginning is not there
  }
  if (lines.size() > most) {
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
  }
  return lines;
}

RunStore::RunStore(const fs::path& folder, Clock clock)
    : folder_(fs::weakly_canonical(folder)), clock_(std::move(clock)) {
  if (!fs::is_directory(folder_)) {
    throw DataError(cat(folder.string(),
                        ": no such folder; --runs names the folder that holds the output folders of "
                        "'bertcram pretrain'"));
  }
}

void RunStore::refresh() {
  const std::unique_lock refreshing(refresh_mutex_, std::try_to_lock);
  if (!refreshing || !is_past(clock_(), refreshed_, kLookSeconds)) {
    return;
  }
  refreshed_ = clock_();
  if (is_past(refreshed_, looked_for_, std::max(2 * kLookSeconds, 20 * search_seconds_))) {
    looked_for_ = refreshed_;
    look_for_runs();
  }
  for (const auto& run : all()) {
    if (run->look(refreshed_)) {
      const std::lock_guard lock(runs_mutex_);
      run->version = ++version_;
    }
  }
}

void RunStore::look_for_runs() {
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, std::pair<std::string, fs::path>> found;  // by id
  for (const auto& [name, path] : find_runs(folder_)) {
    found.emplace(util::hash128(name).hex().substr(0, 16), std::pair(name, path));
  }
  search_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::lock_guard lock(runs_mutex_);
  const size_t gone = std::erase_if(runs_, [&](const auto& entry) { return !found.contains(entry.first); });
  size_t came = 0;
  for (const auto& [id, run] : found) {
    if (!runs_.contains(id)) {
      runs_.emplace(id, std::make_shared<WatchedRun>(id, run.first, run.second, folder_));
      ++came;
    }
  }
  if (gone + came > 0) {
    set_version_ = ++version_;
  }
}

void RunStore::read_ahead(const util::StopFlag& stop) const {
  constexpr size_t kMostRuns = 5;
  const double now = clock_();
  std::vector<std::shared_ptr<WatchedRun>> runs = all();
  std::ranges::sort(runs, std::greater(), [now](const auto& run) { return run->heard_of(now); });
  for (size_t i = 0; i < std::min(kMostRuns, runs.size()) && !stop.requested(); ++i) {
    runs[i]->answer("", now, [](const RunFacts&) { return std::string(); });
  }
}

json RunStore::news(int64_t since) const {
  const std::lock_guard lock(runs_mutex_);
  json rows = json::array();
  json ids = json::array();
  for (const auto& [id, run] : runs_) {
    if (since == 0 || run->version > since) {
      rows.push_back(run->row());
    }
    ids.push_back(id);
  }
  json news = {{"version", version_.load()}, {"runs", rows}};
  if (set_version_ > since || since == 0) {
    news["ids"] = ids;
  }
  return news;
}

std::shared_ptr<const RunStore::Event> RunStore::event(int64_t since) {
  const std::lock_guard lock(events_mutex_);
  const double now = clock_();
  if (is_past(now, events_time_, kLookSeconds) || events_version_ != version_) {  // ages change, too
    events_.clear();
    events_time_ = now;
    events_version_ = version_;
  }
  auto& event = events_[since];
  if (event == nullptr) {
    const json found = news(since);
    event = std::make_shared<const Event>(Event{.version = found["version"],
                                                .has_news = !found["runs"].empty() || found.contains("ids"),
                                                .text = cat("event: runs\ndata: ", util::json_text(found), "\n\n")});
  }
  return event;
}

std::shared_ptr<WatchedRun> RunStore::find(const std::string& id) const {
  const std::lock_guard lock(runs_mutex_);
  const auto found = runs_.find(id);
  return found == runs_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<WatchedRun>> RunStore::all() const {
  const std::lock_guard lock(runs_mutex_);
  std::vector<std::shared_ptr<WatchedRun>> runs;
  for (const auto& [id, run] : runs_) {
    runs.push_back(run);
  }
  return runs;
}

}  // namespace bertcram::monitor
