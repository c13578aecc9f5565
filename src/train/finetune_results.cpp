#include "finetune_results.h"

#include <algorithm>
#include <map>

#include "bertcram/checkpoint/weights.h"
#include "bertcram/config/resolve.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

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

json settings_of(const FinetuneConfig& config) {
  FinetuneConfig copy = config;
  return {{"fingerprint", config::fingerprint(config::fields_of(copy))},
          {"model_xxh3_128", checkpoint::weights_hash(config.model)},
          {"config", config::dump_yaml(config::fields_of(copy), config::DumpStyle::kPlain)}};
}

}  // namespace

void FinetuneResults::refuse_foreign_folder(const fs::path& folder) {
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

FinetuneResults::FinetuneResults(fs::path folder, const FinetuneConfig& config, const glue::Protocol& protocol)
    : folder_(std::move(folder)), settings_(settings_of(config)) {
  scores_.protocol = protocol.name;
  if (!fs::exists(file())) {
    util::write_file_atomically(settings_file(), util::json_text(settings_, 1) + "\n");
  } else {
    const json stored = json::parse(util::read_file(settings_file()), nullptr, /*allow_exceptions=*/false);
    if (!stored.is_object()) {
      throw DataError(cat(settings_file().string(), ": damaged; restore it, or choose another --output"));
    }
    const bool same = util::text_member(stored, "fingerprint") == settings_["fingerprint"] &&
                      util::text_member(stored, "model_xxh3_128") == settings_["model_xxh3_128"];
    if (!same) {
      throw ConfigError(cat(folder_.string(), " holds results of other settings or another model (see ",
                            settings_file().filename().string(), "); choose another --output"));
    }
    settings_ = stored;
    scores_ = glue::load_results(file());
  }
  scores_.overrides = changed_values(config);
}

void FinetuneResults::check_task_files(const glue::TaskSpec& task, const std::vector<fs::path>& files) {
  std::string content = util::join(task.labels, "\n");
  if (!task.base_dir.empty()) {  // the user's own, which may have been edited since
    content += "\n" + glue::scoring_rules(task);
  }
  for (const fs::path& each : files) {
    content += "\n" + util::hash_file(each).hex();
  }
  const std::string id = util::hash128(content).hex();
  json& known = settings_["task_data_xxh3_128"];
  const std::string before = util::text_member(known, task.name.c_str());
  if (!before.empty() && before != id) {
    std::vector<std::string> names;
    std::ranges::transform(files, std::back_inserter(names), [](const fs::path& file) { return file.string(); });
    throw ConfigError(cat(folder_.string(), " holds results of ", task.name,
                          " by other rules or on other data than now in ", util::join(names, ", "),
                          "; choose another --output"));
  }
  known[task.name] = id;
  util::write_file_atomically(settings_file(), util::json_text(settings_, 1) + "\n");
}

bool FinetuneResults::has(const std::string& reported_name, int64_t seed) const {
  const auto found = scores_.tasks.find(reported_name);
  return found != scores_.tasks.end() &&
         std::ranges::find(found->second.seeds, seed, &glue::SeedResult::seed) != found->second.seeds.end();
}

void FinetuneResults::record(glue::Metric primary, const std::string& reported_name, glue::SeedResult result) {
  util::log_info("finetune-glue", cat(reported_name, " seed ", result.seed, ": ", glue::metric_name(primary), " ",
                                      util::format_fixed(result.metrics.at(std::string(glue::metric_name(primary))), 1),
                                      " in ", util::format_duration(result.seconds)));
  auto seeds = scores_.tasks[reported_name].seeds;
  std::erase_if(seeds, [&](const glue::SeedResult& other) { return other.seed == result.seed; });
  seeds.push_back(std::move(result));
  std::ranges::sort(seeds, {}, &glue::SeedResult::seed);
  scores_.tasks[reported_name] = glue::summarise_seeds(primary, std::move(seeds));
}

void FinetuneResults::save() const { glue::save_results(scores_, file()); }

}  // namespace bertcram::train
