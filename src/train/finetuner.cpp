#include "bertcram/train/finetuner.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "bertcram/glue/unit_board.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/text.h"
#include "counted_runs.h"
#include "finetune_folder.h"
#include "finetune_news.h"
#include "finetune_outputs.h"
#include "finetune_plan.h"
#include "pretrained_model.h"
#include "unit_queue.h"
#include "unit_runner.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;
using config::FinetuneConfig;

/// All runs of one command.
class Finetuner {
 public:
  Finetuner(const FinetuneConfig& config, const FinetuneContext& context)
      : protocol_(glue::find_protocol(config::enum_words(config.protocol)[static_cast<size_t>(config.protocol)])),
        config_(without_protocol_values(config, protocol_)),
        context_(context),
        model_(open_pretrained_model(config.model)),
        runtime_(set_up_runtime(config.runtime)),
        output_(config::results_folder(config_)),
        runner_(config_, protocol_, model_.directory, context.stop),
        news_(protocol_, board_, context.events) {}

  FinetuneOutcome run() {
    const std::vector<glue::TaskSpec> tasks = chosen_tasks(config_, protocol_);
    check_submission(config_, tasks);
    FinetuneFolder::refuse_foreign(output_);
    util::make_writable_directory(output_);
    const util::DirectoryLock lock(output_, kFinetuneRoom);
    util::remove_stale_temporaries(output_);
    folder_.emplace(output_, config_, protocol_, model_);
    results_.protocol = protocol_.name;
    results_.overrides = folder_->overrides();
    plan(tasks);
    std::vector<PlannedUnit> pending;
    for (const glue::TaskSpec& spec : tasks) {
      std::ranges::move(load(spec), std::back_inserter(pending));
    }
    add_other_runs();
    check_all_scored();
    keep_all_models();  // a session killed behind its last unit.json did not come to it
    train_all(std::move(pending));
    publish();
    finish(tasks);
    if (first_failure_ && results_.tasks.empty()) {
      std::rethrow_exception(first_failure_);
    }
    return {.results = results_, .results_file = folder_->results_file(), .failure = first_failure_};
  }

 private:
  /// What the command asks for, whatever of it is there or can be read.
  void plan(const std::vector<glue::TaskSpec>& tasks) {
    start_tasks_ = start_tasks(config_, protocol_, tasks);
    for (const glue::TaskSpec& spec : tasks) {
      if (is_asked_for(config_, spec)) {
        asked_for_.insert(spec.name);
      }
      const glue::FinetuneRecipe recipe = chosen_recipe(config_, protocol_, spec);
      for (const PlannedUnit& unit : units_of(spec, recipe, config_, start_tasks_)) {
        planned_.insert(unit.id.folder());
        board_.expect(unit.id, primary_metric_of(spec));
      }
      note_length(spec, recipe);
      const int64_t tokens = recipe.batch_examples * std::min(recipe.seq_len, model_.directory.shape.max_positions);
      most_batch_tokens_ = std::max(most_batch_tokens_, tokens);
    }
  }

  /// Says where texts are cut elsewhere than the protocol has it, by the user's or the model's limit.
  void note_length(const glue::TaskSpec& spec, const glue::FinetuneRecipe& recipe) {
    const int64_t used = std::min(recipe.seq_len, model_.directory.shape.max_positions);
    results_.overrides.erase("max_tokens");
    if (used != glue::recipe_for(protocol_, spec).seq_len) {
      results_.overrides["max_tokens"] = cat(used);
    }
  }

  /// Reads a task's data and the runs of it that are done. @return the others; none if it failed
  std::vector<PlannedUnit> load(const glue::TaskSpec& spec) {
    const glue::FinetuneRecipe recipe = chosen_recipe(config_, protocol_, spec);
    if (const std::string start = start_of(config_, recipe); failed_.contains(start)) {
      fall_with(spec.name, start);
      return {};
    }
    std::vector<PlannedUnit> pending;
    const bool is_fit = attempt(spec.name, [&] {
      LoadedTask task = load_task(spec, recipe, config_.data, model_.directory);
      folder_->check_task_files(spec, task.files, spec.name, task.scored_files);
      check_scored_with(task);
      tasks_.emplace(spec.name, std::move(task));
      pending = units_of(spec, recipe, config_, start_tasks_);
      std::erase_if(pending, [&](const PlannedUnit& unit) { return is_done(unit); });
    });
    return is_fit ? pending : std::vector<PlannedUnit>();
  }

  /// @return whether it went well; if not, the task has failed: data that are unfit, or others than the results' there
  template <class Action>
  bool attempt(const std::string& task, const Action& action) {
    try {
      action();
      return true;
    } catch (const DataError& error) {
      note_failure(task, error);
    } catch (const ConfigError& error) {
      note_failure(task, error);
    }
    return false;
  }

  /// A set that is scored with the task's models, and is unfit, leaves the task as it is.
  void check_scored_with(LoadedTask& task) {
    for (const auto& [name, failure] : task.left_out) {
      attempt(name, [&] { std::rethrow_exception(failure); });
    }
    std::erase_if(task.dev, [&](const DevSet& dev) {
      return dev.judge.name != task.spec.name && !attempt(dev.judge.name, [&] {
               folder_->check_task_files(dev.judge, {dev.split.dataset.file}, task.spec.name);
             });
    });
  }

  /// Fails such sets that were not there when the task was run.
  void check_all_scored() {
    for (const auto& [name, task] : tasks_) {
      for (const DevSet& dev : task.dev) {
        if (dev.judge.name != name && !runs_.all_have(name, dev.split.reported_name)) {
          attempt(dev.judge.name, [&] {
            throw DataError(cat("not scored with these runs of ", name, "; remove ", folder_->file(name).string(),
                                "-seed*, and the same command scores it"));
          });
        }
      }
    }
  }

  /// Whether the run's scores are there, and its model where that is asked for; then they count.
  bool is_done(const PlannedUnit& unit) {
    util::remove_stale_temporaries(folder_->path_of(unit.id));
    const auto record = glue::load_unit(folder_->path_of(unit.id));
    if (record && record->id.folder() != unit.id.folder()) {
      throw DataError(cat(folder_->path_of(unit.id).string(), ": holds the run ", record->id.folder(),
                          "; was it copied? Remove the folder, and the same command runs it again"));
    }
    const bool needs_model = config_.save_models == config::SaveModels::kAll || is_start(unit.id);
    if (!record || (needs_model && !folder_->has_model(unit.id))) {
      return false;
    }
    fs::remove_all(folder_->path_of(unit.id) / UnitRunner::kCheckpointFolder);  // of a session killed at its end
    note(*record);
    return true;
  }

  /// A run that counts. What had failed before stands until all runs are done.
  void note(const glue::UnitRecord& record) {
    const std::string& task = record.id.task;
    runs_.add(record);
    board_.note_score(record.id, record.dev.front().metrics.at(primary_metric_of(tasks_.at(task).spec)));
    if (asked_for_.contains(task) && board_.is_complete(task)) {
      folder_->forget_failure(task);
    }
  }

  /// Runs that other commands left here: they count in results.json too.
  void add_other_runs() {
    for (const glue::UnitRecord& record : folder_->units_but(planned_)) {
      const std::string& name = record.id.task;
      if (tasks_.contains(name) || failed_.contains(name) || folder_->known_task(name)) {
        runs_.add_other(record);
      } else {
        util::log_warning(kFinetuneRoom, cat(record.id.text(), ": a task that is not known here; it does not count"));
      }
    }
  }

  /// What is made of the best runs; of failed tasks nothing.
  void finish(const std::vector<glue::TaskSpec>& tasks) {
    const BestRuns best = best_runs(*folder_, results_, runs_, tasks);
    for (const BestRun& run : best.asked) {
      if (config_.save_models == config::SaveModels::kBest && !folder_->has_model(run.id)) {
        util::log_warning(
            kFinetuneRoom,
            cat(run.task.name, ": the model of the best run was not kept; remove ", run.folder.string(), ", and ",
                planned_.contains(run.id.folder()) ? "the same command" : "a command for its seed",
                " trains it again"));
      }
    }
    if (!best.asked.empty()) {
      make_outputs(config_, *folder_, best, context_.stop, results_, first_failure_);
    }
  }

  std::string primary_metric_of(const glue::TaskSpec& task) const {
    return std::string(glue::metric_name(glue::primary_metric(protocol_, task)));
  }

  /// Whether other tasks start from this run's model.
  bool is_start(const glue::UnitId& id) const { return start_tasks_.contains(id.task) && id.seed == kStartSeed; }

  void train_all(std::vector<PlannedUnit> pending) {
    news_.are_there(runs_);
    if (pending.empty()) {
      return;
    }
    const int64_t jobs = runs_side_by_side(config_, runtime_, model_.directory.shape,
                                           {.runs = std::ssize(planned_), .batch_tokens = most_batch_tokens_});
    Runtime runtime = runtime_;
    runtime.threads = std::max<int64_t>(1, runtime_.threads / jobs);
    int64_t examples = 0;
    for (const PlannedUnit& unit : pending) {
      const LoadedTask& task = tasks_.at(unit.id.task);
      examples += task.train.size() * task.recipe.epochs;
    }
    news_.begins(std::ssize(pending), jobs, describe(runtime));
    util::Progress progress(
        {.label = kFinetuneRoom, .unit = "examples", .total = examples, .style = context_.progress, .above = [this] {
           return board_.text();
         }});
    UnitQueue queue(std::move(pending));
    for (const std::string& task : start_tasks_) {
      const glue::UnitId start = {.task = task, .seed = kStartSeed};
      if (runs_.is_own(start) && folder_->has_model(start)) {
        queue.note_model(task);
      }
    }
    work(queue, runtime, jobs, progress);
    at::set_num_threads(static_cast<int>(runtime_.threads));
  }

  void work(UnitQueue& queue, const Runtime& runtime, int64_t jobs, util::Progress& progress) {
    util::WorkerGroup group;
    try {
      group.run(jobs, [&](int64_t) {
        at::set_num_threads(static_cast<int>(runtime.threads));
        queue.work([&] { return group.failed(); },
                   [&](const PlannedUnit& unit) { run_unit(unit, runtime, queue, progress); });
      });
    } catch (const util::StoppedError&) {
      if (unsaved_) {  // of a run beside the one that was stopped first
        std::rethrow_exception(unsaved_);
      }
      throw;
    }
  }

  void run_unit(const PlannedUnit& unit, const Runtime& runtime, UnitQueue& queue, util::Progress& progress) {
    try {
      const LoadedTask& task = tasks_.at(unit.id.task);
      const glue::UnitRecord record = runner_.run(
          unit.id, task, paths_of(unit), runtime, [&, done = int64_t{0}](int64_t examples, Session session) mutable {
            done += examples;
            board_.note_share(unit.id,
                              static_cast<double>(done) / static_cast<double>(task.train.size() * task.recipe.epochs));
            session == Session::kThis ? progress.add(examples) : progress.add_earlier(examples);
          });
      const std::scoped_lock lock(mutex_);
      glue::save_unit(record, folder_->path_of(unit.id));
      fs::remove_all(folder_->path_of(unit.id) / UnitRunner::kCheckpointFolder);
      note(record);
      news_.unit_is_done(record, task);
      keep_models(task);
      publish();
      news_.task_may_be_done(task, results_);
      if (is_start(unit.id)) {
        queue.note_model(unit.id.task);
      }
    } catch (const ModelChangedError&) {
      throw;  // of all tasks
    } catch (const DataError& error) {
      give_up(unit.id, error, queue);
    } catch (const DivergedError& error) {
      give_up(unit.id, error, queue);
    } catch (const ResourceError&) {
      const std::scoped_lock lock(mutex_);
      unsaved_ = std::current_exception();
      throw;
    }
  }

  void give_up(const glue::UnitId& id, const Error& error, UnitQueue& queue) {
    const std::scoped_lock lock(mutex_);
    note_failure(id.task, error);
    if (asked_for_.contains(id.task)) {
      folder_->note_failure(id.task, error.what());
    }
    for (const std::string& other : queue.give_up(id.task, is_start(id))) {
      if (!failed_.contains(other)) {
        fall_with(other, id.task);
      }
    }
    publish();
  }

  /// @param error  that is being handled
  void note_failure(const std::string& task, const Error& error) {
    first_failure_ = first_failure_ ? first_failure_ : std::current_exception();
    fail(task, error.what());
  }

  /// A task that cannot start, as another one has no model for it.
  void fall_with(const std::string& task, const std::string& start) {
    fail(task, cat("starts from the ", start, " model, which there is not"));
  }

  void fail(const std::string& task, const std::string& reason) {
    board_.note_failure(task);
    news_.task_failed(task, reason);
    failed_[task] = reason;
  }

  UnitPaths paths_of(const PlannedUnit& unit) const {
    UnitPaths paths = {.folder = folder_->path_of(unit.id),
                       .keeps_model = config_.save_models != config::SaveModels::kNone || is_start(unit.id)};
    if (!unit.start_from.empty()) {
      paths.weights = folder_->model_of({.task = unit.start_from, .seed = kStartSeed});
    } else if (config_.init != config::InitFrom::kRandom) {
      paths.weights = config_.model;
      paths.weights_hash = model_.weights_hash;
    }
    return paths;
  }

  void keep_all_models() const {
    for (const auto& [name, task] : tasks_) {
      if (!failed_.contains(name)) {
        keep_models(task);
      }
    }
  }

  /// Removes the models that need not stay; a link with the task's name leads to the best.
  void keep_models(const LoadedTask& task) const {
    const bool is_none = config_.save_models == config::SaveModels::kNone;  // says nothing of what other commands kept
    folder_->keep_models(
        runs_.of(task.spec.name), primary_metric_of(task.spec),
        {.which = config_.save_models,
         .is_complete = board_.is_complete(task.spec.name),
         .is_needed = [&](const glue::UnitId& id) { return is_start(id) || (is_none && !runs_.is_own(id)); }});
  }

  void publish() { folder_->publish(results_, runs_.all(), failed_); }

  const glue::Protocol& protocol_;
  const FinetuneConfig config_;
  const FinetuneContext& context_;
  PretrainedModel model_;
  Runtime runtime_;
  fs::path output_;
  UnitRunner runner_;
  std::optional<FinetuneFolder> folder_;
  std::map<std::string, LoadedTask> tasks_;
  std::set<std::string> start_tasks_;
  std::set<std::string> asked_for_;  ///< tasks that the command names
  std::set<std::string> planned_;    ///< folders of this command's runs
  int64_t most_batch_tokens_ = 0;
  glue::UnitBoard board_;
  FinetuneNews news_;

  std::mutex mutex_;  ///< of what follows, and of the folder
  CountedRuns runs_;
  std::map<std::string, std::string> failed_;  ///< in this command: task → why it has no result
  glue::GlueResults results_;
  std::exception_ptr first_failure_;
  std::exception_ptr unsaved_;  ///< why a run could neither go on nor be saved
};

}  // namespace

FinetuneOutcome run_finetune(const FinetuneConfig& config, const FinetuneContext& context) {
  return Finetuner(config, context).run();
}

}  // namespace bertcram::train
