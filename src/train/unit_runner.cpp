#include "unit_runner.h"

#include <algorithm>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::train {

glue::UnitRecord UnitRunner::run(const glue::UnitId& id, const LoadedTask& task, const UnitPaths& paths,
                                 const Runtime& runtime, util::Progress& progress) {
  glue::FinetuneRecipe recipe = task.recipe;
  recipe.learning_rate = id.grid_rate > 0 ? id.grid_rate : recipe.learning_rate;
  UnitTrainer trainer({.task = task.spec,
                       .train = task.train,
                       .recipe = recipe,
                       .seed = id.seed,
                       .micro_rows = config_.micro_rows,
                       .name = id.text()},
                      {.model = model_, .weights = paths.weights, .max_tokens = task.max_tokens}, runtime);
  const bool looks_often = recipe.keep == glue::Keep::kBestEpoch;
  if (!looks_often) {  // the best weights so far are in no checkpoint
    trainer.use_checkpoints(paths.folder / kCheckpointFolder);
    progress.add(std::min(trainer.steps_done() * recipe.batch_examples, task.train.size() * recipe.epochs));
  }
  Best best;
  for (int64_t epoch = 0; epoch < recipe.epochs; ++epoch) {
    if (!trainer.train_epoch(epoch, stop_, [&](int64_t examples) { progress.add(examples); })) {
      throw_stopped();
    }
    if (looks_often || epoch + 1 == recipe.epochs) {
      look(task, id.text(), epoch + 1, trainer, best);
    }
  }
  if (best.epoch != recipe.epochs) {
    trainer.parameters().masters().copy_(best.masters);
    trainer.parameters().sync_compute();
  }
  leave(task, paths, trainer, best);
  return {.id = id,
          .epoch = best.epoch,
          .training_examples = task.train.size(),
          .truncated = task.train.truncated,
          .training_seconds = trainer.seconds(),
          .runtime = describe(runtime),
          .dev = best.scores};
}

void UnitRunner::look(const LoadedTask& task, const std::string& name, int64_t epoch, UnitTrainer& trainer,
                      Best& best) const {
  Best now = {.epoch = epoch};
  for (const DevSet& dev : task.dev) {
    auto outputs = classifier_outputs(trainer.encoder(), trainer.parameters(), dev.split, stop_);
    if (!outputs) {
      trainer.save();
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
  now.score = now.scores.front().metrics.at(std::string(glue::metric_name(glue::primary_metric(protocol_, task.spec))));
  if (best.epoch == 0 || now.score > best.score) {
    now.masters = task.recipe.keep == glue::Keep::kBestEpoch ? trainer.parameters().masters().clone() : at::Tensor();
    best = std::move(now);
  }
}

void UnitRunner::leave(const LoadedTask& task, const UnitPaths& paths, UnitTrainer& trainer, const Best& best) {
  for (size_t i = 0; i < task.dev.size(); ++i) {
    const DevSet& dev = task.dev[i];
    glue::save_predictions(dev.judge, dev.split.dataset, best.outputs[i],
                           paths.folder / cat("predictions.", dev.split.reported_name, ".tsv"));
  }
  if (paths.keeps_model) {
    const std::scoped_lock lock(saving_);
    checkpoint::write_model_directory(
        paths.folder / kModelFolder,
        {.shape = model_.shape,
         .head = trainer.head(),
         .tensors = checkpoint::model_tensors(model_.shape, trainer.head(), trainer.parameters())},
        *model_.tokenizer);
  }
}

void UnitRunner::throw_stopped() const {
  throw util::StoppedError(stop_, "finetune-glue: stopped; what is done is kept, the same command goes on from here");
}

}  // namespace bertcram::train
