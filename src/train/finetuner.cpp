#include "bertcram/train/finetuner.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/resolve.h"
#include "bertcram/glue/batching.h"
#include "bertcram/glue/task_file.h"
#include "bertcram/train/task_runner.h"
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

constexpr const char* kResultsFile = "results.json";
constexpr const char* kSettingsFile = "settings.json";
constexpr int64_t kEvaluationBatch = 64;
constexpr int64_t kFewestTokens = 8;

const char* room() { return "finetune-glue"; }

/// The protocol's recipe with the user's changes.
glue::FinetuneRecipe chosen_recipe(const FinetuneConfig& config, const glue::Protocol& protocol,
                                   const glue::TaskSpec& task) {
  glue::FinetuneRecipe recipe = glue::recipe_for(protocol, task);
  recipe.epochs = config.epochs > 0 ? config.epochs : recipe.epochs;
  recipe.batch_examples = config.batch_rows > 0 ? config.batch_rows : recipe.batch_examples;
  recipe.seq_len = config.max_tokens > 0 ? config.max_tokens : recipe.seq_len;
  if (recipe.seq_len < kFewestTokens) {
    throw ConfigError(
        cat("--max-tokens ", recipe.seq_len, " leaves no room for text; expected at least ", kFewestTokens));
  }
  recipe.learning_rate = config.learning_rate > 0 ? config.learning_rate : recipe.learning_rate;
  recipe.dropout_prob = config.dropout >= 0 ? config.dropout : recipe.dropout_prob;
  return recipe;
}

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

/// The dev splits that are there. With `all`, or beside another dev split, an absent one is only warned about.
std::vector<glue::SplitSpec> present_dev_splits(const glue::TaskSpec& task, const fs::path& data) {
  std::vector<glue::SplitSpec> present;
  for (const glue::SplitSpec& split : task.dev) {
    if (glue::split_availability(task, split, data) == glue::Availability::kPresent) {
      present.push_back(split);
    } else if (task.dev.size() > 1) {
      util::log_warning(room(), cat(split.reported_name, ": no dev set in ", data.string(), "; it is left out"));
    }
  }
  return present.empty() ? task.dev : present;
}

bool has_data(const glue::TaskSpec& task, const fs::path& data) {
  const auto is_present = [&](const glue::SplitSpec& split) {
    return glue::split_availability(task, split, data) == glue::Availability::kPresent;
  };
  return is_present(*task.train) && std::ranges::any_of(task.dev, is_present);
}

/// The tasks to run, in order. With `all`, tasks whose files are not there are warned about and left out.
std::vector<glue::TaskSpec> chosen_tasks(const FinetuneConfig& config) {
  if (!config.task_file.empty()) {
    return {glue::load_task_file(config.task_file, config.data)};
  }
  const fs::path data = config.data;
  if (!fs::is_directory(data)) {
    throw DataError(cat("--data ", data.string(), ": no such folder; expected the GLUE folder with CoLA, RTE, …"));
  }
  const bool is_all = util::to_lower_ascii(util::trim(config.task)) == "all";
  std::vector<glue::TaskSpec> tasks;
  for (const std::string& name : glue::expand_task_list(config.task)) {
    const glue::TaskSpec& task = glue::find_task(name);
    if (!task.train) {
      throw ConfigError(cat("--task ", name, " has no training set; it is scored by the ", task.scored_with, " model"));
    }
    if (is_all && !has_data(task, data)) {
      util::log_warning(room(), cat(task.name, ": no training and dev data in ", data.string(), "; it is left out"));
      continue;
    }
    tasks.push_back(task);
  }
  if (tasks.empty()) {
    throw DataError(cat("--data ", data.string(),
                        ": no GLUE task with training and dev data here; expected folders such as CoLA, RTE, SST-2"));
  }
  return tasks;
}

/// All (task, seed) units of one command.
class Finetuner {
 public:
  Finetuner(const FinetuneConfig& config, const FinetuneContext& context)
      : config_(config),
        context_(context),
        data_(config.data),
        source_(checkpoint::open_model_directory(config.model)),
        runtime_(resolve_runtime(config.runtime)),
        protocol_(glue::find_protocol(config::enum_words(config.protocol)[static_cast<size_t>(config.protocol)])),
        output_(output_folder()),
        tasks_(chosen_tasks(config)) {}

  FinetuneOutcome run() {
    refuse_foreign_output();
    util::make_writable_directory(output_);
    const util::DirectoryLock lock(output_, "finetune-glue");
    util::remove_stale_temporaries(output_);
    open_results();
    for (const glue::TaskSpec& task : tasks_) {
      run_task(task);
    }
    return {.results = results_, .results_file = output_ / kResultsFile};
  }

 private:
  fs::path output_folder() const {
    if (!config_.output.empty()) {
      return config_.output;
    }
    const fs::path model = fs::absolute(config_.model).lexically_normal();
    const fs::path folder = model.has_filename() ? model : model.parent_path();
    return folder.parent_path() / (config_.init == config::InitFrom::kRandom ? "glue-random" : "glue");
  }

  /// The folder has to be new, or to hold results: what is there gets replaced.
  void refuse_foreign_output() const {
    if (fs::exists(output_ / kSettingsFile)) {
      return;
    }
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(output_, missing)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(".") && !name.starts_with(kSettingsFile)) {  // a killed session leaves settings.json.tmp-N
        throw ConfigError(cat("--output ", output_.string(), " is not empty and holds no fine-tuning results (", name,
                              "); choose another folder"));
      }
    }
  }

  /// Continues the results in the output folder; those of other settings or another model are refused.
  void open_results() {
    FinetuneConfig copy = config_;
    const json settings = {{"fingerprint", config::fingerprint(config::fields_of(copy))},
                           {"model_xxh3_128", util::hash_file(fs::path(config_.model) / "model.safetensors").hex()},
                           {"config", config::dump_yaml(config::fields_of(copy), config::DumpStyle::kPlain)}};
    const fs::path file = output_ / kSettingsFile;
    results_.protocol = protocol_.name;
    results_.overrides = changed_values(config_);
    settings_ = settings;
    if (!fs::exists(output_ / kResultsFile)) {
      util::write_file_atomically(file, util::json_text(settings, 1) + "\n");
      return;
    }
    const json stored = json::parse(util::read_file(file), nullptr, /*allow_exceptions=*/false);
    const bool same = util::text_member(stored, "fingerprint") == settings["fingerprint"] &&
                      util::text_member(stored, "model_xxh3_128") == settings["model_xxh3_128"];
    if (!same) {
      throw ConfigError(cat(output_.string(), " holds results of other settings or another model (see ", kSettingsFile,
                            "); choose another --output"));
    }
    settings_ = stored;
    results_ = glue::load_results(output_ / kResultsFile);
    results_.overrides = changed_values(config_);
  }

  /// Scores belong to the files that they came from: remembers those of a task, refuses others.
  void check_task_files(const glue::TaskSpec& task, const std::vector<fs::path>& files) {
    std::string content = util::join(task.labels, "\n");
    for (const fs::path& file : files) {
      content += "\n" + util::hash_file(file).hex();
    }
    const std::string id = util::hash128(content).hex();
    json& known = settings_["task_data_xxh3_128"];
    if (known.is_object() && known.contains(task.name) && known[task.name] != id) {
      throw ConfigError(cat(output_.string(), " holds results of ", task.name, " on other data than ",
                            files.front().string(), "; choose another --output"));
    }
    known[task.name] = id;
    util::write_file_atomically(output_ / kSettingsFile, util::json_text(settings_, 1) + "\n");
  }

  fs::path model_folder(const glue::TaskSpec& task, int64_t seed) const {
    return output_ / cat(task.name, "-seed", seed);
  }

  bool is_done(const std::string& reported_name, int64_t seed) const {
    const auto found = results_.tasks.find(reported_name);
    return found != results_.tasks.end() &&
           std::ranges::find(found->second.seeds, seed, &glue::SeedResult::seed) != found->second.seeds.end();
  }

  static void warn_of_skipped_rows(const glue::Dataset& dataset) {
    if (dataset.skipped_rows > 0) {
      util::log_warning(room(), cat(dataset.file.string(), ": ", util::format_count(dataset.skipped_rows),
                                    " broken rows left out, ", util::format_count(dataset.size()), " used"));
    }
  }

  void run_task(const glue::TaskSpec& task) {
    const glue::FinetuneRecipe recipe = chosen_recipe(config_, protocol_, task);
    if (recipe.seq_len > source_.shape.max_positions) {
      util::log_warning(room(), cat(task.name, ": the model takes ", source_.shape.max_positions,
                                    " tokens; longer examples are cut to that"));
    }
    const int64_t max_tokens = std::min(recipe.seq_len, source_.shape.max_positions);
    const auto train_set = glue::read_split(task, *task.train, data_);
    warn_of_skipped_rows(train_set);
    const EncodedSplit train = encode_split(train_set, task.name, *source_.tokenizer, max_tokens);
    std::vector<EncodedSplit> dev;
    std::vector<fs::path> files = {train_set.file};
    for (const glue::SplitSpec& split : present_dev_splits(task, data_)) {
      const auto dev_set = glue::read_split(task, split, data_);
      warn_of_skipped_rows(dev_set);
      files.push_back(dev_set.file);
      dev.push_back(encode_split(dev_set, split.reported_name, *source_.tokenizer, max_tokens));
    }
    check_task_files(task, files);
    util::log_info(room(), cat(task.name, ": ", util::format_count(train.size()), " training examples (",
                               train.truncated, " cut to ", max_tokens, " tokens), ", describe(runtime_)));
    for (int64_t seed = config_.first_seed; seed < config_.first_seed + config_.seeds; ++seed) {
      const bool has_model = !config_.save_models || fs::exists(model_folder(task, seed) / "config.json");
      const bool done = has_model && std::ranges::all_of(dev, [&](const EncodedSplit& split) {
                          return is_done(split.reported_name, seed);
                        });
      if (!done) {
        run_unit(task, recipe, max_tokens, train, dev, seed);
      }
    }
  }

  void run_unit(const glue::TaskSpec& task, const glue::FinetuneRecipe& recipe, int64_t max_tokens,
                const EncodedSplit& train, const std::vector<EncodedSplit>& dev, int64_t seed) {
    const auto start = std::chrono::steady_clock::now();
    model::Head head = task_head(task);
    head.max_tokens = max_tokens;
    nn::Parameters parameters(model::parameter_specs(source_.shape, head), runtime_.compute_type, runtime_.device);
    parameters.initialise(static_cast<uint64_t>(seed), source_.shape.init_std);
    if (config_.init == config::InitFrom::kModel) {
      checkpoint::load_weights(config_.model, parameters, checkpoint::Strictness::kEncoderOnly);
      // The head is this task's own, whatever head the model folder has.
      for (const char* leaf :
           {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"}) {
        parameters.initialise_leaf(leaf, static_cast<uint64_t>(seed), source_.shape.init_std);
      }
      parameters.sync_compute();
    }
    const model::Bert bert(source_.shape, parameters);
    {
      util::Progress progress({.label = cat(task.name, " seed ", seed),
                               .unit = "examples",
                               .total = train.size() * recipe.epochs,
                               .style = context_.progress});
      finetune(bert, parameters, task, train, {.recipe = recipe, .micro_examples = config_.micro_rows, .seed = seed},
               context_.stop, progress);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (const EncodedSplit& split : dev) {
      const auto outputs = classifier_outputs(bert, parameters, split, kEvaluationBatch, context_.stop);
      record(task, split.reported_name,
             {.seed = seed, .metrics = score_outputs(task, split, outputs), .seconds = seconds});
    }
    if (config_.save_models) {
      checkpoint::write_model_directory(model_folder(task, seed), source_.shape, head, parameters, *source_.tokenizer);
    }
    glue::save_results(results_, output_ / kResultsFile);
  }

  void record(const glue::TaskSpec& task, const std::string& reported_name, glue::SeedResult result) {
    const glue::Metric primary = glue::primary_metric(protocol_, task);
    util::log_info(room(), cat(reported_name, " seed ", result.seed, ": ", glue::metric_name(primary), " ",
                               util::format_fixed(result.metrics.at(std::string(glue::metric_name(primary))), 1),
                               " in ", util::format_duration(result.seconds)));
    auto seeds = results_.tasks[reported_name].seeds;
    std::erase_if(seeds, [&](const glue::SeedResult& other) { return other.seed == result.seed; });
    seeds.push_back(std::move(result));
    std::ranges::sort(seeds, {}, &glue::SeedResult::seed);
    results_.tasks[reported_name] = glue::summarise_seeds(primary, std::move(seeds));
  }

  const FinetuneConfig& config_;
  const FinetuneContext& context_;
  fs::path data_;
  checkpoint::ModelDirectory source_;
  Runtime runtime_;
  const glue::Protocol& protocol_;
  fs::path output_;
  std::vector<glue::TaskSpec> tasks_;
  glue::GlueResults results_;
  json settings_;
};

/// The model's output for each class of the task, told by the label words; a model without words counts by position.
/// @throws DataError if the two do not have the same labels
std::vector<int64_t> output_of_class(const checkpoint::ModelDirectory& source, const glue::TaskSpec& task) {
  std::vector<int64_t> columns(task.labels.size());
  std::iota(columns.begin(), columns.end(), 0);
  const auto& words = source.head.label_words;
  const bool is_unnamed =
      std::ranges::all_of(words, [](const std::string& word) { return word.starts_with("LABEL_"); });
  for (size_t label = 0; label < columns.size() && !is_unnamed; ++label) {
    const auto found = std::ranges::find(words, task.labels[label]);
    if (found == words.end()) {
      throw DataError(cat("--model ", source.path.string(), ": its classifier knows ", util::join(words, ", "),
                          ", not the label '", task.labels[label], "' of ", task.name));
    }
    columns[label] = found - words.begin();
  }
  return columns;
}

/// Rows of outputs with their columns in the task's order.
std::vector<float> reordered(const std::vector<float>& outputs, const std::vector<int64_t>& columns) {
  std::vector<float> ordered;
  ordered.reserve(outputs.size());
  for (size_t row = 0; row < outputs.size(); row += columns.size()) {
    for (const int64_t column : columns) {
      ordered.push_back(outputs[row + static_cast<size_t>(column)]);
    }
  }
  return ordered;
}

}  // namespace

std::map<std::string, glue::MetricValues> evaluate_task(const fs::path& model_directory, const glue::TaskSpec& task,
                                                        const fs::path& data_directory,
                                                        const config::RuntimeConfig& runtime_config,
                                                        const util::StopFlag& stop) {
  const auto source = checkpoint::open_model_directory(model_directory);
  if (source.head.kind != model::HeadKind::kClassifier || source.head.outputs != task.classes()) {
    throw DataError(
        cat("--model ", model_directory.string(), ": ",
            source.head.kind == model::HeadKind::kClassifier
                ? cat("its classifier has ", source.head.outputs, " outputs, ", task.name, " needs ", task.classes())
                : "is not a fine-tuned classifier; make one with 'bertcram finetune-glue --save-models'"));
  }
  const std::vector<int64_t> columns = output_of_class(source, task);
  const Runtime runtime = resolve_runtime(runtime_config);
  nn::Parameters parameters(model::parameter_specs(source.shape, source.head), runtime.compute_type, runtime.device);
  checkpoint::load_weights(model_directory, parameters, checkpoint::Strictness::kComplete);
  const model::Bert bert(source.shape, parameters);
  const int64_t trained_with =
      source.head.max_tokens > 0 ? source.head.max_tokens : glue::recipe_for(glue::sane_protocol(), task).seq_len;
  const int64_t max_tokens = std::min(trained_with, source.shape.max_positions);
  std::map<std::string, glue::MetricValues> scores;
  for (const glue::SplitSpec& spec : present_dev_splits(task, data_directory)) {
    const auto split =
        encode_split(glue::read_split(task, spec, data_directory), spec.reported_name, *source.tokenizer, max_tokens);
    const auto outputs = classifier_outputs(bert, parameters, split, kEvaluationBatch, stop);
    scores[split.reported_name] = score_outputs(task, split, columns.empty() ? outputs : reordered(outputs, columns));
  }
  return scores;
}

FinetuneOutcome run_finetune(const FinetuneConfig& config, const FinetuneContext& context) {
  return Finetuner(config, context).run();
}

}  // namespace bertcram::train
