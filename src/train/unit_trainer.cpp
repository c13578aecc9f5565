#include "unit_trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mse_loss.h>

#include <algorithm>
#include <chrono>

#include "bertcram/glue/batching.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/nn/to_device.h"
#include "bertcram/train/schedule.h"
#include "bertcram/train/text_batch.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/random.h"
#include "bertcram/util/text.h"
#include "finetune_plan.h"
#include "micro_batch.h"
#include "pretrained_model.h"
#include "run_header.h"

namespace bertcram::train {
namespace {

namespace fs = std::filesystem;

config::OptimConfig optim_config(const glue::FinetuneRecipe& recipe) {
  return {.learning_rate = recipe.learning_rate,
          .beta1 = recipe.beta1,
          .beta2 = recipe.beta2,
          .epsilon = recipe.epsilon,
          .weight_decay = recipe.weight_decay,
          .table_weight_decay = recipe.weight_decay,
          .clip_norm = recipe.clip_norm.value_or(0.0)};
}

config::ScheduleConfig schedule_config(const glue::FinetuneRecipe& recipe) {
  return {.warmup_frac = recipe.warmup_frac,
          .start_frac = 0.0,
          .end_frac = 0.0,
          .anneal = recipe.schedule == glue::RateSchedule::kCosine ? config::Anneal::kCosine : config::Anneal::kLinear};
}

model::Head head_of(const UnitPlan& plan, const UnitStart& start) {
  model::Head head = task_head(plan.task);
  head.max_tokens = start.max_tokens;
  head.pooling = start.model.head.pooling;
  return head;
}

/// Labels, or scores in the task's unit, of the chosen examples. @return [batch] int64 or fp32
at::Tensor chosen_targets(const glue::TaskSpec& task, const glue::Dataset& dataset, std::span<const int64_t> chosen,
                          at::Device device) {
  const auto batch = static_cast<int64_t>(chosen.size());
  const bool is_regression = task.kind == glue::TaskKind::kRegression;
  const glue::ScoreUnit unit = glue::score_unit(task);
  at::Tensor targets = at::empty({batch}, is_regression ? at::kFloat : at::kLong);
  for (int64_t i = 0; i < batch; ++i) {
    const glue::Example& example = dataset.examples[static_cast<size_t>(chosen[static_cast<size_t>(i)])];
    if (is_regression) {
      targets.mutable_data_ptr<float>()[i] =
          static_cast<float>((static_cast<double>(example.target) - unit.low) / unit.unit);
    } else {
      targets.mutable_data_ptr<int64_t>()[i] = example.label;
    }
  }
  return nn::to_device(targets, device);
}

/// Cross-entropy or squared error, summed over the batch. @param outputs [batch, classes] fp32
at::Tensor task_loss_sum(const at::Tensor& outputs, const at::Tensor& targets) {
  return targets.is_floating_point() ? at::mse_loss(outputs.squeeze(1), targets, at::Reduction::Sum)
                                     : at::cross_entropy_loss(outputs, targets, {}, at::Reduction::Sum);
}

}  // namespace

UnitTrainer::UnitTrainer(const UnitPlan& plan, const UnitStart& start, const Runtime& runtime)
    : plan_(plan),
      start_(start),
      runtime_(runtime),
      head_(head_of(plan, start)),
      weights_(model::parameter_specs(start.model.shape, head_), optim_config(plan.recipe), runtime),
      passes_{.rows = plan.micro_rows > 0 ? std::min(plan.micro_rows, plan.recipe.batch_examples)
                                          : plan.recipe.batch_examples},
      steps_per_epoch_(glue::batches_per_epoch(plan.train.size(), plan.recipe.batch_examples)) {
  begin();
  encoder_ = model::make_encoder(start.model.shape, head_, weights_.parameters);
}

void UnitTrainer::begin() {
  weights_.parameters.initialise(static_cast<uint64_t>(plan_.seed), start_.model.shape.init_std);
  if (!start_.weights.empty()) {
    load_start_weights(start_.weights, start_.weights_hash, weights_.parameters);
  }
}

void UnitTrainer::use_checkpoints(const fs::path& folder) {
  checkpoints_ = folder;
  for (const fs::path& path : checkpoint::list_checkpoints(folder)) {
    if (!try_load(path)) {
      continue;
    }
    const checkpoint::TrainState& position = weights_.position;
    saved_seconds_ = position.elapsed_seconds;
    passes_ = position.passes.rows > 0 && plan_.micro_rows == 0 ? position.passes : passes_;
    warn_of_other_circumstances(kFinetuneRoom, plan_.name, position.runtime, circumstances());
    util::log_info(kFinetuneRoom, cat(plan_.name, ": continues at step ", position.step + 1));
    break;
  }
  checkpoint::discard_newer(folder, weights_.position.step);  // else they would count as newer than what is saved now
}

bool UnitTrainer::try_load(const fs::path& checkpoint) {
  try {
    weights_.load(checkpoint);
    return true;
  } catch (const UnreadableError&) {
    throw;  // it may be fine: to begin again would throw it away
  } catch (const DataError& error) {
    util::log_warning(kFinetuneRoom, cat(plan_.name, ": a checkpoint is of no use: ", error.what()));
  }
  weights_.optimizer.first_moments().zero_();  // some of the tensors may have been read
  weights_.optimizer.second_moments().zero_();
  weights_.position = {};
  begin();
  return false;
}

std::string UnitTrainer::circumstances() const { return circumstances_of(runtime_, passes_); }

void UnitTrainer::save() {
  if (checkpoints_.empty()) {
    return;
  }
  weights_.position.loss_scale = weights_.scaler.state();  // before the first step, too
  weights_.position.passes = passes_;
  weights_.position.runtime = circumstances();
  checkpoint::require_room(checkpoints_, weights_.tensors());
  checkpoint::save_checkpoint(checkpoints_, weights_.position, weights_.tensors(), {.newest = 1});
}

void UnitTrainer::try_save() {
  saved_seconds_ = weights_.position.elapsed_seconds;
  try {
    save();
  } catch (const std::exception& error) {
    util::log_warning(kFinetuneRoom, cat(plan_.name, ": not saved: ", error.what()));
  }
}

bool UnitTrainer::train_epoch(int64_t epoch, const util::StopFlag& stop,
                              const std::function<void(int64_t)>& examples_done) {
  const auto batches = glue::training_batches(
      plan_.train.lengths,
      {.batch_examples = plan_.recipe.batch_examples, .seed = static_cast<uint64_t>(plan_.seed), .epoch = epoch});
  checkpoint::TrainState& position = weights_.position;
  while (position.step < (epoch + 1) * steps_per_epoch_) {
    const auto start = std::chrono::steady_clock::now();
    const glue::Batch& batch = batches[static_cast<size_t>(position.step - epoch * steps_per_epoch_)];
    if (stop.requested() || !step(batch, stop)) {
      save();
      return false;
    }
    position.elapsed_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    examples_done(std::ssize(batch));
    if (position.elapsed_seconds - saved_seconds_ > plan_.save_seconds) {
      try_save();
    }
  }
  return true;
}

bool UnitTrainer::step(const std::vector<int64_t>& batch, const util::StopFlag& stop) {
  checkpoint::TrainState& position = weights_.position;
  const uint64_t key =
      util::mix_key({static_cast<uint64_t>(plan_.seed), static_cast<uint64_t>(util::RandomPurpose::kDropout),
                     static_cast<uint64_t>(position.step)});
  const std::string place = cat(plan_.name, ", step ", position.step + 1);
  if (!with_back_off(passes_, weights_.parameters, {kFinetuneRoom, place},
                     [&] { return accumulate(batch, key, stop); })) {
    weights_.parameters.zero_gradients();
    return false;
  }
  const auto total_steps = static_cast<double>(steps_per_epoch_ * plan_.recipe.epochs);
  const double rate = learning_rate(schedule_config(plan_.recipe), plan_.recipe.learning_rate,
                                    (static_cast<double>(position.step) + 0.5) / total_steps);
  if (weights_.update(rate, static_cast<double>(batch.size())).outcome == StepOutcome::kNotFinite) {
    throw DivergedError(cat(place, ": the gradient is not finite; lower --learning-rate"));
  }
  ++position.step;
  return true;
}

/// Forward and backward of one batch.
bool UnitTrainer::accumulate(std::span<const int64_t> batch, uint64_t key, const util::StopFlag& stop) {
  const nn::Parameters& parameters = weights_.parameters;
  const auto rows = static_cast<size_t>(passes_.rows);
  for (size_t first = 0; first < batch.size(); first += rows) {
    if (first > 0 && stop.requested()) {
      return false;
    }
    const auto chosen = batch.subspan(first, std::min(rows, batch.size() - first));
    const auto input = padded_batch(plan_.train.texts, chosen, encoder_->shape().pad_id, parameters.compute_type(),
                                    parameters.device());
    const uint64_t pass_key = util::mix_key({key, first});
    if (!parameters.device().is_cpu()) {
      seed_generators(pass_key);
    }
    const model::EncodeOptions options = {
        .dropout = {.probability = plan_.recipe.dropout_prob, .key = pass_key},
        .recompute = passes_.recomputes ? model::Recompute::kPerLayer : model::Recompute::kNever};
    const at::Tensor outputs = encoder_->classify(input, options);
    const at::Tensor loss =
        task_loss_sum(outputs, chosen_targets(plan_.task, plan_.train.dataset, chosen, parameters.device()));
    weights_.backward(loss);
  }
  return true;
}

}  // namespace bertcram::train
