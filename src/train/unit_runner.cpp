#include "unit_runner.h"

#include <algorithm>
#include <iterator>

#include "bertcram/glue/batching.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBestPrefix = "best-epoch-";  ///< folder of the best epoch's model beside the checkpoints

/// Has the classifier give scores as they are, not in the unit that it was trained in.
void learn_unit(const glue::ScoreUnit& unit, nn::Parameters& parameters) {
  if (!unit.is_one()) {
    parameters.stored("classifier.weight").mul_(unit.unit);
    parameters.stored("classifier.bias").mul_(unit.unit).add_(unit.low);
  }
}

}  // namespace

glue::UnitRecord UnitRunner::run(const glue::UnitId& id, const LoadedTask& task, const UnitPaths& paths,
                                 const Runtime& runtime, const ExamplesDone& examples_done) {
  glue::FinetuneRecipe recipe = task.recipe;
  recipe.learning_rate = id.grid_rate > 0 ? id.grid_rate : recipe.learning_rate;
  const UnitPlan plan = {.task = task.spec,
                         .train = task.train,
                         .recipe = recipe,
                         .seed = id.seed,
                         .micro_rows = config_.micro_rows,
                         .name = id.text(),
                         .save_seconds = paths.save_seconds};
  const UnitStart start = {
      .model = model_, .weights = paths.weights, .weights_hash = paths.weights_hash, .max_tokens = task.max_tokens};
  const fs::path checkpoints = paths.folder / kCheckpointFolder;
  const bool looks_often = recipe.keep == glue::Keep::kBestEpoch;

  std::optional<UnitTrainer> trainer(std::in_place, plan, start, runtime);
  trainer->use_checkpoints(checkpoints);
  std::optional<Best> best;
  if (looks_often && trainer->steps_done() > trainer->steps_per_epoch()) {
    best = recall(task, checkpoints, *trainer);
    if (!best) {
      util::log_warning(kFinetuneRoom, cat(plan.name, ": its best epoch so far is not there: begins again"));
      fs::remove_all(checkpoints);
      trainer.emplace(plan, start, runtime);
      trainer->use_checkpoints(checkpoints);
    }
  }
  examples_done(glue::examples_after(trainer->steps_done(), task.train.size(), recipe.batch_examples),
                Session::kEarlier);
  for (int64_t epoch = 1; epoch <= recipe.epochs; ++epoch) {
    if (!trainer->train_epoch(epoch - 1, stop_, [&](int64_t examples) { examples_done(examples, Session::kThis); })) {
      throw_stopped();
    }
    const bool is_past = trainer->steps_done() > epoch * trainer->steps_per_epoch();  // before an interruption
    if (is_past || (!looks_often && epoch < recipe.epochs)) {
      continue;
    }
    std::optional<Best> now = look(task, plan.name, epoch, *trainer);
    if (!now) {
      trainer->save();
      throw_stopped();
    }
    if (!best || now->score > best->score) {
      best = std::move(now);
      if (epoch < recipe.epochs) {
        best->masters = trainer->parameters().masters().clone();
        keep(*best, checkpoints, *trainer);
      }
    }
  }
  if (best->epoch != recipe.epochs) {
    trainer->parameters().masters().copy_(best->masters);
    trainer->parameters().sync_compute();
  }
  leave(task, paths, *trainer, *best);
  return {.id = id,
          .epoch = best->epoch,
          .training_examples = task.train.size(),
          .truncated = task.train.truncated,
          .training_seconds = trainer->seconds(),
          .runtime = trainer->circumstances(),
          .dev = best->scores};
}

std::optional<UnitRunner::Best> UnitRunner::look(const LoadedTask& task, const std::string& name, int64_t epoch,
                                                 UnitTrainer& trainer) const {
  Best now = {.epoch = epoch};
  int64_t texts_per_pass = kTextsPerPass;
  for (const DevSet& dev : task.dev) {
    auto outputs = classifier_outputs(trainer.encoder(), trainer.parameters(), dev.split, texts_per_pass, stop_);
    if (!outputs) {
      return std::nullopt;
    }
    if (!are_finite(*outputs)) {
      throw DivergedError(cat(name, ": the classifier gives numbers that are not finite; lower --learning-rate"));
    }
    if (const glue::ScoreUnit unit = glue::score_unit(dev.judge); !unit.is_one()) {
      std::ranges::transform(*outputs, outputs->begin(), [&](float output) {
        return static_cast<float>(unit.low + unit.unit * static_cast<double>(output));
      });
    }
    now.scores.push_back(glue::score_split(dev.judge, dev.split.dataset, *outputs));
    now.scores.back().reported_name = dev.split.reported_name;
    now.scores.back().truncated = dev.split.truncated;
    now.outputs.push_back(std::move(*outputs));
  }
  now.score = now.scores.front().metrics.at(std::string(glue::metric_name(glue::primary_metric(protocol_, task.spec))));
  return now;
}

void UnitRunner::keep(const Best& best, const fs::path& checkpoints, UnitTrainer& trainer) {
  fs::path folder = checkpoints / cat(kBestPrefix, best.epoch);
  try {
    write_model(folder, trainer);
  } catch (const ResourceError& error) {  // the run can still be finished; interrupted, it begins again
    util::log_warning(kFinetuneRoom, cat("the best epoch so far is not kept: ", error.what()));
    folder.clear();
  }
  std::vector<fs::path> others;
  std::error_code missing;
  std::ranges::copy_if(
      fs::directory_iterator(checkpoints, missing), std::back_inserter(others),
      [&](const fs::path& path) { return path != folder && path.filename().string().starts_with(kBestPrefix); });
  std::ranges::for_each(others, [](const fs::path& path) { fs::remove_all(path); });
}

std::optional<UnitRunner::Best> UnitRunner::recall(const LoadedTask& task, const fs::path& checkpoints,
                                                   UnitTrainer& trainer) const {
  for (int64_t epoch = task.recipe.epochs; epoch > 0; --epoch) {
    const fs::path folder = checkpoints / cat(kBestPrefix, epoch);
    if (!fs::exists(folder / "config.json")) {  // written last
      continue;
    }
    const at::Tensor masters = trainer.parameters().masters().clone();
    try {
      checkpoint::load_weights(folder, trainer.parameters(), checkpoint::Strictness::kComplete);
    } catch (const UnreadableError&) {
      throw;  // it may be fine: to begin again would throw it away
    } catch (const DataError& error) {
      util::log_warning(kFinetuneRoom, error.what());
      return std::nullopt;
    }
    std::optional<Best> best = look(task, folder.string(), epoch, trainer);
    if (!best) {
      throw_stopped();
    }
    best->masters = trainer.parameters().masters().clone();
    trainer.parameters().masters().copy_(masters);
    trainer.parameters().sync_compute();
    return best;
  }
  return std::nullopt;
}

void UnitRunner::write_model(const fs::path& folder, UnitTrainer& trainer) {
  const std::scoped_lock lock(saving_);
  checkpoint::write_model_directory(
      folder,
      {.shape = model_.shape,
       .head = trainer.head(),
       .tensors = checkpoint::model_tensors(model_.shape, trainer.head(), trainer.parameters())},
      *model_.tokenizer);
}

void UnitRunner::leave(const LoadedTask& task, const UnitPaths& paths, UnitTrainer& trainer, Best& best) {
  for (size_t i = 0; i < task.dev.size(); ++i) {
    const DevSet& dev = task.dev[i];
    best.scores[i].intervals = glue::score_intervals(dev.judge, dev.split.dataset, best.outputs[i]);
    glue::save_predictions(dev.judge, dev.split.dataset, best.outputs[i],
                           glue::predictions_file(paths.folder, dev.split.reported_name));
  }
  if (paths.keeps_model) {
    learn_unit(glue::score_unit(task.spec), trainer.parameters());
    write_model(paths.folder / kModelFolder, trainer);
  }
}

void UnitRunner::throw_stopped() const {
  throw util::StoppedError(stop_, "finetune-glue: stopped; what is done is kept, the same command goes on from here");
}

}  // namespace bertcram::train
