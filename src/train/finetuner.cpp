#include "bertcram/train/finetuner.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/text.h"
#include "finetune_folder.h"
#include "finetune_plan.h"
#include "submission_writer.h"
#include "unit_queue.h"
#include "unit_trainer.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::FinetuneConfig;

constexpr const char* kRoom = "finetune-glue";
constexpr int64_t kEvaluationExamples = 32;
constexpr const char* kModelFolder = "model";
constexpr const char* kCheckpointFolder = "checkpoints";

fs::path output_folder(const FinetuneConfig& config) {
  if (!config.output.empty()) {
    return config.output;
  }
  const fs::path model = fs::absolute(config.model).lexically_normal();
  const fs::path folder = model.has_filename() ? model : model.parent_path();
  return folder.parent_path() / (config.init == config::InitFrom::kRandom ? "glue-random" : "glue");
}

std::string name_of(const glue::UnitId& id) {
  return cat(id.task, " seed ", id.seed, id.grid_rate > 0 ? cat(" at ", util::format_number(id.grid_rate)) : "");
}

/// All runs of one command.
class Finetuner {
 public:
  Finetuner(const FinetuneConfig& config, const FinetuneContext& context)
      : config_(config),
        context_(context),
        protocol_(glue::find_protocol(config::enum_words(config.protocol)[static_cast<size_t>(config.protocol)])),
        model_(checkpoint::open_model_directory(config.model)),
        runtime_(resolve_runtime(config.runtime)),
        output_(output_folder(config)) {}

  FinetuneOutcome run() {
    const std::vector<glue::TaskSpec> tasks = chosen_tasks(config_, protocol_);
    check_submission(config_, tasks);
    FinetuneFolder::refuse_foreign(output_);
    util::make_writable_directory(output_);
    const util::DirectoryLock lock(output_, kRoom);
    util::remove_stale_temporaries(output_);
    folder_.emplace(output_, config_, protocol_);
    results_.protocol = protocol_.name;
    results_.overrides = folder_->overrides();
    std::vector<PlannedUnit> pending;
    size_t planned = 0;
    for (const glue::TaskSpec& spec : tasks) {
      const auto units = load(spec);
      planned += units.size();
      for (const PlannedUnit& unit : units) {
        if (fs::exists(folder_->path_of(unit.id))) {
          util::remove_stale_temporaries(folder_->path_of(unit.id));
        }
      }
      std::ranges::copy_if(units, std::back_inserter(pending), [&](const PlannedUnit& unit) { return !is_done(unit); });
    }
    train_all(std::move(pending), planned);
    publish();
    finish(tasks);
    if (first_failure_ && results_.tasks.empty()) {
      std::rethrow_exception(first_failure_);
    }
    return {.results = results_, .results_file = folder_->results_file(), .failure = first_failure_};
  }

 private:
  /// Reads a task's data. @return its runs; none if it failed
  std::vector<PlannedUnit> load(const glue::TaskSpec& spec) {
    const glue::FinetuneRecipe recipe = chosen_recipe(config_, protocol_, spec);
    if (!recipe.start_from.empty() && config_.init != config::InitFrom::kRandom) {
      if (results_.failed.contains(recipe.start_from)) {
        results_.failed[spec.name] = cat("starts from the ", recipe.start_from, " model, which there is not");
        return {};
      }
      start_tasks_.insert(recipe.start_from);
    }
    try {
      LoadedTask task = load_task(spec, recipe, config_.data, model_);
      folder_->check_task_files(spec, task.files);
      tasks_.emplace(spec.name, std::move(task));
      return units_of(spec, recipe, config_);
    } catch (const DataError&) {
      note_failure(spec.name);
      return {};
    }
  }

  /// Whether the run's scores are there, and its model where that is asked for; then they count.
  bool is_done(const PlannedUnit& unit) {
    const auto record = glue::load_unit(folder_->path_of(unit.id));
    const bool needs_model = config_.save_models == config::SaveModels::kAll || is_start(unit.id);
    if (!record || (needs_model && !fs::exists(model_folder(unit.id) / "config.json"))) {
      return false;
    }
    records_[unit.id.task].push_back(*record);
    return true;
  }

  /// What is made of the best runs.
  void finish(const std::vector<glue::TaskSpec>& tasks) {
    std::vector<BestRun> runs;
    for (const glue::TaskSpec& task : tasks) {
      if (const auto found = records_.find(task.name); found != records_.end()) {
        const glue::UnitId best = *glue::best_unit(found->second, primary_metric_of(task));
        runs.push_back({.task = task, .folder = folder_->path_of(best), .name = best.folder()});
      }
    }
    if (runs.empty()) {
      return;
    }
    if (config_.baseline) {
      add_baselines(results_, runs, config_.data);
      folder_->save(results_);
    }
    if (config_.errors > 0) {
      write_mistakes(config_, output_, runs);
    }
    if (!config_.submission.empty()) {
      write_submission(config_, output_, runs, context_.stop);
    }
  }

  std::string primary_metric_of(const glue::TaskSpec& task) const {
    return std::string(glue::metric_name(glue::primary_metric(protocol_, task)));
  }

  fs::path model_folder(const glue::UnitId& id) const { return folder_->path_of(id) / kModelFolder; }

  /// Whether other tasks start from this run's model.
  bool is_start(const glue::UnitId& id) const {
    return start_tasks_.contains(id.task) && id.seed == config_.first_seed;
  }

  void train_all(std::vector<PlannedUnit> pending, size_t planned) {
    for (const auto& [name, records] : records_) {
      util::log_info(kRoom, cat(name, ": ", records.size(), records.size() == 1 ? " run is" : " runs are",
                                " there already"));
      keep_models(tasks_.at(name));
    }
    if (pending.empty()) {
      return;
    }
    const int64_t jobs = job_count(planned);
    Runtime runtime = runtime_;
    runtime.threads = std::max<int64_t>(1, runtime_.threads / jobs);
    int64_t examples = 0;
    for (const PlannedUnit& unit : pending) {
      const LoadedTask& task = tasks_.at(unit.id.task);
      examples += task.train.size() * task.recipe.epochs;
    }
    util::log_info(kRoom, cat(pending.size(), pending.size() == 1 ? " run" : " runs", ", ", jobs, " at a time, ",
                              describe(runtime), jobs > 1 ? " each" : ""));
    util::Progress progress(
        {.label = kRoom, .unit = "examples", .total = examples, .style = context_.progress});
    UnitQueue queue(std::move(pending));
    for (const std::string& task : start_tasks_) {
      if (fs::exists(model_folder({.task = task, .seed = config_.first_seed}) / "config.json") &&
          records_.contains(task)) {
        queue.note_model(task);
      }
    }
    util::WorkerGroup group;
    group.run(jobs, [&](int64_t) {
      at::set_num_threads(static_cast<int>(runtime.threads));
      try {
        while (const auto unit = queue.take()) {
          run_unit(*unit, runtime, queue, progress);
        }
      } catch (...) {
        queue.close();
        throw;
      }
    });
    at::set_num_threads(static_cast<int>(runtime_.threads));
  }

  /// On a CPU one run per thread: runs that do not wait for each other use the cores best. It follows from the command
  /// alone, not from what is left to do, as the threads of a run are part of its arithmetic.
  int64_t job_count(size_t planned) const {
    const auto most = static_cast<int64_t>(planned);
    if (config_.jobs > 0) {
      return std::min(config_.jobs, most);
    }
    return runtime_.device.is_cpu() ? std::min(runtime_.threads, most) : 1;
  }

  void run_unit(const PlannedUnit& unit, const Runtime& runtime, UnitQueue& queue, util::Progress& progress) {
    try {
      const glue::UnitRecord record = trained(unit, runtime, progress);
      const std::scoped_lock lock(mutex_);
      glue::save_unit(record, folder_->path_of(unit.id));
      fs::remove_all(folder_->path_of(unit.id) / kCheckpointFolder);
      records_[unit.id.task].push_back(record);
      log_scores(record);
      keep_models(tasks_.at(unit.id.task));
      publish();
      if (is_start(unit.id)) {
        queue.note_model(unit.id.task);
      }
    } catch (const DataError&) {
      give_up(unit.id.task, queue);
    } catch (const DivergedError&) {
      give_up(unit.id.task, queue);
    }
  }

  void give_up(const std::string& task, UnitQueue& queue) {
    const std::scoped_lock lock(mutex_);
    note_failure(task);
    for (const std::string& other : queue.give_up(task)) {
      results_.failed.try_emplace(other, cat("starts from the ", task, " model, which there is not"));
    }
    publish();
  }

  /// Remembers the exception that is being handled.
  void note_failure(const std::string& task) {
    first_failure_ = first_failure_ ? first_failure_ : std::current_exception();
    try {
      throw;
    } catch (const std::exception& error) {
      util::log_error(kRoom, cat(task, ": ", error.what()));
      results_.failed[task] = error.what();
    }
  }

  /// Trains a run and leaves its predictions and its model in its folder.
  glue::UnitRecord trained(const PlannedUnit& unit, const Runtime& runtime, util::Progress& progress) {
    const LoadedTask& task = tasks_.at(unit.id.task);
    const std::string name = name_of(unit.id);
    glue::FinetuneRecipe recipe = task.recipe;
    recipe.learning_rate = unit.id.grid_rate > 0 ? unit.id.grid_rate : recipe.learning_rate;
    UnitTrainer trainer({.task = task.spec,
                         .train = task.train,
                         .recipe = recipe,
                         .seed = unit.id.seed,
                         .micro_rows = config_.micro_rows,
                         .name = name},
                        {.model = model_, .weights = start_weights(unit), .max_tokens = task.max_tokens}, runtime);
    const bool looks_often = recipe.keep == glue::Keep::kBestEpoch;
    if (!looks_often) {  // the best weights so far are in no checkpoint
      trainer.use_checkpoints(folder_->path_of(unit.id) / kCheckpointFolder);
      progress.add(std::min(trainer.steps_done() * recipe.batch_examples, task.train.size() * recipe.epochs));
    }
    Best best;
    for (int64_t epoch = 0; epoch < recipe.epochs; ++epoch) {
      if (!trainer.train_epoch(epoch, context_.stop, [&](int64_t examples) { progress.add(examples); })) {
        throw_stopped();
      }
      if (looks_often || epoch + 1 == recipe.epochs) {
        look(task, name, epoch + 1, trainer, best);
      }
    }
    if (best.epoch != recipe.epochs) {
      trainer.parameters().masters().copy_(best.masters);
      trainer.parameters().sync_compute();
    }
    return leave(unit, task, trainer, runtime, best);
  }

  /// The weights that count, and what they say of the dev sets.
  struct Best {
    int64_t epoch = 0;
    double score = 0;
    at::Tensor masters = {};
    std::vector<std::vector<float>> outputs = {};
    std::vector<glue::SplitScores> scores = {};
  };

  void look(const LoadedTask& task, const std::string& name, int64_t epoch, UnitTrainer& trainer, Best& best) {
    Best now = {.epoch = epoch};
    for (const DevSet& dev : task.dev) {
      auto outputs = classifier_outputs(trainer.encoder(), trainer.parameters(), dev.split, kEvaluationExamples,
                                        context_.stop);
      if (!outputs) {
        throw_stopped();
      }
      if (!are_finite(*outputs)) {
        throw DivergedError(cat(name, ": the classifier gives numbers that are not finite; lower --learning-rate"));
      }
      now.scores.push_back(glue::score_split(dev.judge, dev.split.dataset, *outputs));
      now.scores.back().reported_name = dev.split.reported_name;
      now.scores.back().truncated = dev.split.truncated;
      now.outputs.push_back(std::move(*outputs));
    }
    now.score = now.scores.front().metrics.at(primary_metric_of(task.spec));
    if (best.epoch == 0 || now.score > best.score) {
      now.masters = task.recipe.keep == glue::Keep::kBestEpoch ? trainer.parameters().masters().clone() : at::Tensor();
      best = std::move(now);
    }
  }

  glue::UnitRecord leave(const PlannedUnit& unit, const LoadedTask& task, UnitTrainer& trainer, const Runtime& runtime,
                         const Best& best) {
    const fs::path path = folder_->path_of(unit.id);
    for (size_t i = 0; i < task.dev.size(); ++i) {
      const DevSet& dev = task.dev[i];
      glue::save_predictions(dev.judge, dev.split.dataset, best.outputs[i],
                             path / cat("predictions.", dev.split.reported_name, ".tsv"));
    }
    if (config_.save_models != config::SaveModels::kNone || is_start(unit.id)) {
      const std::scoped_lock lock(mutex_);  // the tokenizer is shared
      checkpoint::write_model_directory(
          path / kModelFolder,
          {.shape = model_.shape,
           .head = trainer.head(),
           .tensors = checkpoint::model_tensors(model_.shape, trainer.head(), trainer.parameters())},
          *model_.tokenizer);
    }
    return {.id = unit.id,
            .epoch = best.epoch,
            .training_examples = task.train.size(),
            .truncated = task.train.truncated,
            .training_seconds = trainer.seconds(),
            .runtime = describe(runtime),
            .dev = best.scores};
  }

  fs::path start_weights(const PlannedUnit& unit) const {
    if (config_.init == config::InitFrom::kRandom) {
      return {};
    }
    return unit.start_from.empty() ? fs::path(config_.model)
                                   : model_folder({.task = unit.start_from, .seed = config_.first_seed});
  }

  void log_scores(const glue::UnitRecord& record) const {
    const LoadedTask& task = tasks_.at(record.id.task);
    for (size_t i = 0; i < record.dev.size(); ++i) {
      const std::string metric = primary_metric_of(task.dev[i].judge);
      const std::string& set = record.dev[i].reported_name;
      util::log_info(kRoom, cat(name_of(record.id), ": ", set == record.id.task ? "" : set + " ", metric, " ",
                                util::format_fixed(record.dev[i].metrics.at(metric), 1), " in ",
                                util::format_duration(record.training_seconds)));
    }
  }

  /// Removes the models that need not stay; a link with the task's name leads to the best.
  void keep_models(const LoadedTask& task) const {
    const std::vector<glue::UnitRecord>& records = records_.at(task.spec.name);
    const glue::UnitId best = *glue::best_unit(records, primary_metric_of(task.spec));
    for (const glue::UnitRecord& record : records) {
      const bool stays =
          config_.save_models == config::SaveModels::kAll || is_start(record.id) ||
          (config_.save_models == config::SaveModels::kBest && record.id.folder() == best.folder());
      if (!stays) {
        fs::remove_all(model_folder(record.id));
      }
    }
    if (fs::exists(model_folder(best))) {
      util::replace_link(folder_->file(task.spec.name), fs::path(best.folder()) / kModelFolder);
    }
  }

  /// Writes results.json from what there is.
  void publish() {
    results_.tasks.clear();
    for (const auto& [name, records] : records_) {
      glue::add_task(results_, tasks_.at(name).spec, records);
    }
    if (!results_.tasks.empty()) {
      folder_->save(results_);
    }
  }

  [[noreturn]] void throw_stopped() const {
    throw util::StoppedError(context_.stop,
                             "finetune-glue: stopped; what is done is kept, the same command goes on from here");
  }

  const FinetuneConfig& config_;
  const FinetuneContext& context_;
  const glue::Protocol& protocol_;
  checkpoint::ModelDirectory model_;
  Runtime runtime_;
  fs::path output_;
  std::optional<FinetuneFolder> folder_;
  std::map<std::string, LoadedTask> tasks_;
  std::set<std::string> start_tasks_;

  std::mutex mutex_;  ///< of what follows, and of the folder
  std::map<std::string, std::vector<glue::UnitRecord>> records_;
  glue::GlueResults results_;
  std::exception_ptr first_failure_;
};

}  // namespace

FinetuneOutcome run_finetune(const FinetuneConfig& config, const FinetuneContext& context) {
  return Finetuner(config, context).run();
}

}  // namespace bertcram::train
