#include "finetune_folder.h"

#include <algorithm>
#include <array>
#include <map>

#include "bertcram/config/resolve.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "finetune_plan.h"
#include "unit_runner.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::FinetuneConfig;
using nlohmann::json;

/// What the user changed of the protocol, for the results.
std::map<std::string, std::string> changed_values(const FinetuneConfig& config) {
  std::map<std::string, std::string> changed;
  const auto note = [&](const char* name, bool is_changed, double value) {
    if (is_changed) {
      changed[name] = util::format_number(value);
    }
  };
  note("epochs", config.epochs > 0, static_cast<double>(config.epochs));
  note("batch_rows", config.batch_rows > 0, static_cast<double>(config.batch_rows));
  note("max_tokens", config.max_tokens > 0, static_cast<double>(config.max_tokens));
  note("learning_rate", config.learning_rate > 0, config.learning_rate);
  note("dropout", config.dropout >= 0, config.dropout);
  if (config.init == config::InitFrom::kRandom) {
    changed["init"] = "random";
  }
  return changed;
}

constexpr const char* kFormat = "bertcram-finetuning-2";
constexpr const char* kBaselines = "bag_of_words";
constexpr const char* kOwnTasks = "own_tasks";
constexpr const char* kFailed = "failed";

// What a model is besides its weights. Folders of older versions do not say it.
constexpr const char* kTokenizer = "tokenizer_fingerprint";
constexpr const char* kModelConfig = "model_config_xxh3_128";

json settings_of(const FinetuneConfig& config, const PretrainedModel& model) {
  FinetuneConfig copy = config;
  return {{"fingerprint", config::fingerprint(config::fields_of(copy))},
          {"model_xxh3_128", model.weights_hash},
          {kTokenizer, model.directory.tokenizer->fingerprint()},
          {kModelConfig, util::hash_file(model.directory.path / "config.json").hex()},
          {"config", config::dump_yaml(config::fields_of(copy), config::DumpStyle::kPlain)}};
}

/// In what stored settings differ from these: settings by name, `--model`. A setting that bertcram did not have when they were
/// stored had its default.
std::vector<std::string> differences_from(const json& stored, const json& settings, const FinetuneConfig& config,
                                          const glue::Protocol& protocol, const std::string& where) {
  FinetuneConfig before;
  FinetuneConfig now = config;
  config::apply_yaml(config::fields_of(before), util::text_member(stored, "config"), where);
  before = without_protocol_values(before, protocol);
  auto differing = config::differences(config::fields_of(before), config::fields_of(now));
  const auto is_other = [&](const char* key) {
    return stored.contains(key) && util::text_member(stored, key) != util::text_member(settings, key);
  };
  if (util::text_member(stored, "model_xxh3_128") != util::text_member(settings, "model_xxh3_128")) {
    differing.emplace_back("another --model");
  } else if (is_other(kTokenizer)) {
    differing.emplace_back("another tokenizer of --model");
  } else if (is_other(kModelConfig)) {
    differing.emplace_back("another config.json of --model");
  }
  return differing;
}

/// Tells a task's rules and data from others.
std::string id_of(const glue::TaskSpec& task, const std::vector<fs::path>& files) {
  std::string content = util::join(task.labels, "\n");
  if (!task.base_dir.empty()) {  // the user's own, which may have been edited since
    content += cat("\n", glue::scoring_rules(task));
  }
  for (const fs::path& each : files) {
    content += cat("\n", util::hash_file(each).hex());
  }
  return util::hash128(content).hex();
}

/// Whether the folder holds runs of a task (of any, if that is empty), done or begun, or results.
bool has_work(const fs::path& folder, const std::string& task) {
  const auto is_work = [&](const fs::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    return name.starts_with(task.empty() ? "results.json" : task + "-seed") ||
           (task.empty() && name.find("-seed") != std::string::npos && entry.is_directory());
  };
  return std::ranges::any_of(fs::directory_iterator(folder), is_work);
}

}  // namespace

void FinetuneFolder::refuse_foreign(const fs::path& folder) {
  if (fs::exists(folder / "settings.json")) {
    return;
  }
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(".") && !name.starts_with("settings.json.tmp-")) {  // what a session killed early leaves
      throw ConfigError(cat("--output ", folder.string(), " is not empty and holds no fine-tuning results (", name,
                            "); choose another folder"));
    }
  }
}

FinetuneFolder::FinetuneFolder(fs::path folder, const FinetuneConfig& config, const glue::Protocol& protocol,
                               const PretrainedModel& model)
    : folder_(std::move(folder)), overrides_(changed_values(config)), settings_(settings_of(config, model)) {
  settings_["format"] = kFormat;
  settings_["protocol"] = protocol.name;
  settings_[kBaselines] = json::object();
  if (!fs::exists(settings_file())) {
    save_settings();
    return;
  }
  json stored = util::try_parse_json(util::read_file(settings_file()));
  if (!stored.is_object()) {
    throw DataError(cat(settings_file().string(), ": damaged; restore it, or choose another --output"));
  }
  if (util::text_member(stored, "format") != kFormat) {
    throw ConfigError(cat(folder_.string(), " holds results of another version of bertcram; choose another --output"));
  }
  if (const auto differing = differences_from(stored, settings_, config, protocol, settings_file().string());
      !differing.empty()) {
    if (has_work(folder_, "")) {
      throw ConfigError(cat(folder_.string(), " holds results of other settings (", util::join(differing, ", "),
                            "); choose another --output"));
    }
    save_settings();  // a try that came to nothing binds nobody
    return;
  }
  settings_ = std::move(stored);
  if (!settings_[kBaselines].is_object()) {  // of a command before they were kept
    settings_[kBaselines] = json::object();
  }
  const std::string written = util::text_member(settings_, "results_xxh3_128");
  if (fs::exists(results_file()) && !written.empty() && util::hash_file(results_file()).hex() != written) {
    throw DataError(
        cat(results_file().string(),
            ": it is not what was written; move it away, and the same command makes it anew from the units"));
  }
}

void FinetuneFolder::save_settings() {
  util::write_file_atomically(settings_file(), util::json_text(settings_, 1) + "\n");
}

void FinetuneFolder::check_task_files(const glue::TaskSpec& task, const std::vector<fs::path>& files,
                                      const std::string& owner, const std::vector<fs::path>& once_with) {
  const std::string id = id_of(task, files);
  json& known = settings_["task_data_xxh3_128"];
  std::string before = util::text_member(known, task.name.c_str());
  if (before != id && !once_with.empty()) {
    std::vector<fs::path> all = files;
    all.insert(all.end(), once_with.begin(), once_with.end());
    if (before == id_of(task, all)) {
      before = id;
      known[task.name] = id;
      save_settings();
    }
  }
  if (before == id) {
    note_own_task(task);
    return;
  }
  if (!before.empty() && has_work(folder_, owner)) {
    std::vector<std::string> names;
    std::ranges::transform(files, std::back_inserter(names), [](const fs::path& file) { return file.string(); });
    throw ConfigError(cat(folder_.string(), " holds results of ", task.name,
                          " by other rules or on other data than now in ", util::join(names, ", "),
                          "; choose another --output, or remove ", owner, "-seed* there"));
  }
  known[task.name] = id;
  settings_[kBaselines].erase(task.name);  // of other data
  save_settings();
  note_own_task(task);
}

void FinetuneFolder::note_own_task(const glue::TaskSpec& task) {
  const json content = {{"labels", task.labels}, {"metric", glue::metric_name(task.primary.cramming)}};
  if (!task.base_dir.empty() && settings_[kOwnTasks][task.name] != content) {
    settings_[kOwnTasks][task.name] = content;
    save_settings();
  }
}

std::optional<glue::TaskSpec> FinetuneFolder::known_task(const std::string& name) const {
  if (!settings_.contains(kOwnTasks) || !settings_.at(kOwnTasks).contains(name)) {
    const auto builtin = std::ranges::find(glue::builtin_tasks(), name, &glue::TaskSpec::name);
    return builtin == glue::builtin_tasks().end() ? std::nullopt : std::optional(*builtin);
  }
  const json& content = settings_.at(kOwnTasks).at(name);
  glue::TaskSpec task = {
      .name = name, .primary = glue::PrimaryMetrics::all(glue::parse_metric(util::text_member(content, "metric")))};
  for (const json& label : content.value("labels", json::array())) {
    task.labels.push_back(label.is_string() ? label.get<std::string>() : "");
  }
  task.kind = task.labels.empty() ? glue::TaskKind::kRegression : glue::TaskKind::kClassification;
  return task;
}

void FinetuneFolder::note_baselines(const std::string& task, const std::map<std::string, double>& scores) {
  if (!scores.empty()) {
    settings_[kBaselines][task] = scores;
    save_settings();
  }
}

bool FinetuneFolder::has_baselines(const std::string& task) const {
  const json& known = settings_[kBaselines];
  return known.contains(task) && !known.at(task).empty();  // older versions noted a task that had failed as empty
}

void FinetuneFolder::add_baselines(glue::GlueResults& results) const {
  for (const auto& [task, scores] : settings_[kBaselines].items()) {
    for (const auto& [name, score] : scores.items()) {
      if (const auto entry = results.tasks.find(name); entry != results.tasks.end() && score.is_number()) {
        entry->second.baseline = score.get<double>();
      }
    }
  }
}

void FinetuneFolder::note_failure(const std::string& task, const std::string& reason) {
  json failed = failures();
  failed[task] = reason;
  settings_[kFailed] = std::move(failed);
  save_settings();
}

void FinetuneFolder::forget_failure(const std::string& task) {
  if (failures().contains(task)) {
    settings_[kFailed].erase(task);
    save_settings();
  }
}

std::map<std::string, std::string> FinetuneFolder::failures() const {
  std::map<std::string, std::string> failed;
  if (const auto known = settings_.find(kFailed); known != settings_.end() && known->is_object()) {
    for (const auto& [task, reason] : known->items()) {
      failed[task] = util::text_member(*known, task.c_str());
    }
  }
  return failed;
}

fs::path FinetuneFolder::model_of(const glue::UnitId& unit) const { return path_of(unit) / UnitRunner::kModelFolder; }

std::vector<glue::UnitRecord> FinetuneFolder::units_but(const std::set<std::string>& names) const {
  std::vector<glue::UnitRecord> units;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_symlink() || !entry.is_directory() || names.contains(name)) {
      continue;
    }
    try {
      auto record = glue::load_unit(entry.path());
      if (record && record->id.folder() == name) {
        units.push_back(std::move(*record));
      }
    } catch (const DataError& error) {
      util::log_warning(kFinetuneRoom, cat(error.what(), "; it does not count"));
    }
  }
  return units;
}

bool FinetuneFolder::has_model(const glue::UnitId& unit) const { return fs::exists(model_of(unit) / "config.json"); }

void FinetuneFolder::keep_models(const std::vector<glue::UnitRecord>& records, const std::string& metric,
                                 const KeptModels& kept) const {
  const auto found = glue::best_unit(records, metric);
  if (!found) {
    return;
  }
  const glue::UnitId& best = *found;
  std::set<std::string> chosen = {best.folder()};
  if (!kept.is_complete) {  // with the scores that are to come another rate may be the best
    for (const glue::UnitId& unit : glue::best_of_each_rate(records, metric)) {
      chosen.insert(unit.folder());
    }
  }
  for (const glue::UnitRecord& record : records) {
    // While the best one has no model, the others' are all there is.
    const bool stays =
        kept.which == config::SaveModels::kAll ||
        (kept.which == config::SaveModels::kBest && (chosen.contains(record.id.folder()) || !has_model(best)));
    if (!stays && !(kept.is_needed && kept.is_needed(record.id))) {
      fs::remove_all(model_of(record.id));
    }
  }
  const fs::path link = file(best.task);
  if (fs::exists(model_of(best))) {
    util::replace_link(link, fs::path(best.folder()) / UnitRunner::kModelFolder);
  } else if (fs::is_symlink(link) && !fs::exists(link)) {
    fs::remove(link);
  }
}

void FinetuneFolder::publish(glue::GlueResults& results, const CountedRuns::ByTask& runs,
                             const std::map<std::string, std::string>& failed) {
  results.failed = failures();
  std::erase_if(results.failed, [&](const auto& entry) { return !runs.contains(entry.first); });
  const bool has_failed_runs = !results.failed.empty();
  for (const auto& [task, reason] : failed) {
    results.failed[task] = reason;
  }
  results.tasks.clear();
  for (const auto& [name, records] : runs) {
    if (!results.failed.contains(name)) {  // a mean over the seeds that did not diverge would flatter
      glue::add_task(results, *known_task(name), records);
    }
  }
  std::erase_if(results.tasks, [&](const auto& entry) { return results.failed.contains(entry.first); });
  if (has_failed_runs || !results.tasks.empty()) {  // a task that was refused takes no earlier score away
    add_baselines(results);
    save(results);
  }
}

void FinetuneFolder::save(const glue::GlueResults& results) {
  const std::string text = glue::results_to_json(results);
  const std::string id = util::hash128(text).hex();
  if (fs::exists(results_file()) && util::text_member(settings_, "results_xxh3_128") == id) {
    return;
  }
  settings_.erase("results_xxh3_128");  // until both are written, anything is right
  save_settings();
  util::write_file_atomically(results_file(), text);
  settings_["results_xxh3_128"] = id;
  save_settings();
}

}  // namespace bertcram::train
