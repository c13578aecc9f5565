#include "bertcram/train/finetuner.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/glue/batching.h"
#include "bertcram/glue/task_file.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/train/task_evaluator.h"
#include "bertcram/train/task_runner.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"
#include "finetune_results.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::FinetuneConfig;

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
    FinetuneResults::refuse_foreign_folder(output_);
    util::make_writable_directory(output_);
    const util::DirectoryLock lock(output_, "finetune-glue");
    util::remove_stale_temporaries(output_);
    results_.emplace(output_, config_, protocol_);
    for (const glue::TaskSpec& task : tasks_) {
      run_task(task);
    }
    return {.results = results_->scores(), .results_file = results_->file()};
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

  fs::path model_folder(const glue::TaskSpec& task, int64_t seed) const {
    return output_ / cat(task.name, "-seed", seed);
  }

  /// Beside another dev split, an absent one is only warned about.
  std::vector<glue::SplitSpec> present_dev_splits(const glue::TaskSpec& task) const {
    auto present = glue::present_dev_splits(task, data_);
    for (const glue::SplitSpec& split : task.dev) {
      if (std::ranges::find(present, split.reported_name, &glue::SplitSpec::reported_name) == present.end()) {
        util::log_warning(room(), cat(split.reported_name, ": no dev set in ", data_.string(), "; it is left out"));
      }
    }
    return present;
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
    const int64_t max_tokens = text_limit(source_.shape, task, recipe.seq_len);
    const auto train_set = glue::read_split(task, *task.train, data_);
    warn_of_skipped_rows(train_set);
    const EncodedSplit train = encode_split(train_set, task.name, *source_.tokenizer, max_tokens);
    std::vector<EncodedSplit> dev;
    std::vector<fs::path> files = {train_set.file};
    for (const glue::SplitSpec& split : present_dev_splits(task)) {
      const auto dev_set = glue::read_split(task, split, data_);
      warn_of_skipped_rows(dev_set);
      files.push_back(dev_set.file);
      dev.push_back(encode_split(dev_set, split.reported_name, *source_.tokenizer, max_tokens));
    }
    results_->check_task_files(task, files);
    util::log_info(room(), cat(task.name, ": ", util::format_count(train.size()), " training examples (",
                               train.truncated, " cut to ", max_tokens, " tokens), ", describe(runtime_)));
    for (int64_t seed = config_.first_seed; seed < config_.first_seed + config_.seeds; ++seed) {
      const bool has_model = !config_.save_models || fs::exists(model_folder(task, seed) / "config.json");
      const bool done = has_model && std::ranges::all_of(dev, [&](const EncodedSplit& split) {
                          return results_->has(split.reported_name, seed);
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
    head.pooling = source_.head.pooling;
    nn::Parameters parameters(model::parameter_specs(source_.shape, head), runtime_.compute_type, runtime_.device);
    parameters.initialise(static_cast<uint64_t>(seed), source_.shape.init_std);
    if (config_.init == config::InitFrom::kModel) {
      checkpoint::load_weights(config_.model, parameters, checkpoint::Strictness::kEncoderOnly);
      // The head is this task's own, whatever head the model folder has.
      for (const std::string& leaf : model::task_leaves(source_.shape.arch)) {
        parameters.initialise_leaf(leaf, static_cast<uint64_t>(seed), source_.shape.init_std);
      }
      parameters.sync_compute();
    }
    const auto encoder = model::make_encoder(source_.shape, head, parameters);
    {
      util::Progress progress({.label = cat(task.name, " seed ", seed),
                               .unit = "examples",
                               .total = train.size() * recipe.epochs,
                               .style = context_.progress});
      if (!finetune(*encoder, parameters, task, train,
                    {.recipe = recipe, .micro_examples = config_.micro_rows, .seed = seed}, context_.stop, progress)) {
        throw_stopped();
      }
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (const EncodedSplit& split : dev) {
      const auto outputs = classifier_outputs(*encoder, parameters, split, kEvaluationExamples, context_.stop);
      if (!outputs) {
        throw_stopped();
      }
      if (!are_finite(*outputs)) {
        throw DivergedError(cat(split.reported_name, " seed ", seed,
                                ": the classifier gives numbers that are not finite; lower --learning-rate"));
      }
      results_->record(glue::primary_metric(protocol_, task), split.reported_name,
                       {.seed = seed, .metrics = score_outputs(task, split, *outputs), .seconds = seconds});
    }
    if (config_.save_models) {
      checkpoint::write_model_directory(
          model_folder(task, seed),
          {.shape = source_.shape, .head = head, .tensors = checkpoint::model_tensors(source_.shape, head, parameters)},
          *source_.tokenizer);
    }
    results_->save();
  }

  [[noreturn]] void throw_stopped() const {
    throw util::StoppedError(context_.stop,
                             "finetune-glue: stopped; finished runs are kept, the same command does the rest");
  }

  const FinetuneConfig& config_;
  const FinetuneContext& context_;
  fs::path data_;
  checkpoint::ModelDirectory source_;
  Runtime runtime_;
  const glue::Protocol& protocol_;
  fs::path output_;
  std::vector<glue::TaskSpec> tasks_;
  std::optional<FinetuneResults> results_;
};

}  // namespace

FinetuneOutcome run_finetune(const FinetuneConfig& config, const FinetuneContext& context) {
  return Finetuner(config, context).run();
}

}  // namespace bertcram::train
