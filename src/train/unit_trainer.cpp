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

constexpr double kSaveSeconds = 600;  ///< training time between two checkpoints: what a crash costs at most

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
      runtime_(runtime),
      head_(head_of(plan, start)),
      parameters_(model::parameter_specs(start.model.shape, head_), runtime.compute_type, runtime.device),
      optimizer_(parameters_, optim_config(plan.recipe)),
      scaler_(runtime.compute_type),
      passes_{.rows = plan.micro_rows > 0 ? std::min(plan.micro_rows, plan.recipe.batch_examples)
                                          : plan.recipe.batch_examples},
      steps_per_epoch_(glue::batches_per_epoch(plan.train.size(), plan.recipe.batch_examples)) {
  const model::EncoderShape& shape = start.model.shape;
  parameters_.initialise(static_cast<uint64_t>(plan.seed), shape.init_std);
  if (!start.weights.empty()) {
    load_start_weights(start.weights, start.weights_hash, parameters_);
  }
  encoder_ = model::make_encoder(shape, head_, parameters_);
}

checkpoint::TrainTensors UnitTrainer::tensors() { return train_tensors(parameters_, optimizer_); }

void UnitTrainer::use_checkpoints(const fs::path& folder) {
  checkpoints_ = folder;
  for (const fs::path& path : checkpoint::list_checkpoints(folder)) {
    try {
      state_ = checkpoint::load_checkpoint(path, tensors());
    } catch (const UnreadableError&) {
      throw;  // it may be fine: to begin again would throw it away
    } catch (const DataError& error) {
      util::log_warning(kFinetuneRoom, cat(plan_.name, ": a checkpoint is of no use: ", error.what()));
      continue;
    }
    optimizer_.restore_steps(state_.optimizer_steps);
    scaler_.restore(state_.loss_scale);
    parameters_.sync_compute();
    saved_seconds_ = state_.elapsed_seconds;
    passes_ = state_.passes.rows > 0 && plan_.micro_rows == 0 ? state_.passes : passes_;
    warn_of_other_circumstances(kFinetuneRoom, plan_.name, state_.runtime, circumstances());
    util::log_info(kFinetuneRoom, cat(plan_.name, ": continues at step ", state_.step + 1));
    break;
  }
  checkpoint::discard_newer(folder, state_.step);  // else they would count as newer than what is saved from here on
}

std::string UnitTrainer::circumstances() const { return circumstances_of(runtime_, passes_); }

void UnitTrainer::save() {
  if (checkpoints_.empty()) {
    return;
  }
  state_.optimizer_steps = optimizer_.steps_done();
  state_.loss_scale = scaler_.state();
  state_.passes = passes_;
  state_.runtime = circumstances();
  checkpoint::require_room(checkpoints_, tensors());
  checkpoint::save_checkpoint(checkpoints_, state_, tensors(), {.newest = 1});
}

void UnitTrainer::try_save() {
  saved_seconds_ = state_.elapsed_seconds;
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
  while (state_.step < (epoch + 1) * steps_per_epoch_) {
    if (stop.requested()) {
      save();
      return false;
    }
    const auto start = std::chrono::steady_clock::now();
    const glue::Batch& batch = batches[static_cast<size_t>(state_.step - epoch * steps_per_epoch_)];
    step(batch);
    state_.elapsed_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    examples_done(std::ssize(batch));
    if (state_.elapsed_seconds - saved_seconds_ > kSaveSeconds) {
      try_save();
    }
  }
  return true;
}

void UnitTrainer::step(const std::vector<int64_t>& batch) {
  const uint64_t key =
      util::mix_key({static_cast<uint64_t>(plan_.seed), static_cast<uint64_t>(util::RandomPurpose::kDropout),
                     static_cast<uint64_t>(state_.step)});
  const std::string place = cat(plan_.name, ", step ", state_.step + 1);
  with_back_off(passes_, parameters_, {kFinetuneRoom, place}, [&] { return accumulate(batch, key); });
  const auto total_steps = static_cast<double>(steps_per_epoch_ * plan_.recipe.epochs);
  const double rate = learning_rate(schedule_config(plan_.recipe), plan_.recipe.learning_rate,
                                    (static_cast<double>(state_.step) + 0.5) / total_steps);
  const bool is_finite = optimizer_.step(rate, static_cast<double>(batch.size()) * scaler_.factor()).is_finite;
  if (!scaler_.update(is_finite) && !is_finite) {
    throw DivergedError(cat(place, ": the gradient is not finite; lower --learning-rate"));
  }
  ++state_.step;
}

/// Forward and backward of one batch.
void UnitTrainer::accumulate(std::span<const int64_t> batch, uint64_t key) {
  const auto rows = static_cast<size_t>(passes_.rows);
  for (size_t first = 0; first < batch.size(); first += rows) {
    const auto chosen = batch.subspan(first, std::min(rows, batch.size() - first));
    const auto input = padded_batch(plan_.train.texts, chosen, encoder_->shape().pad_id, parameters_.compute_type(),
                                    parameters_.device());
    const uint64_t pass_key = util::mix_key({key, first});
    if (!parameters_.device().is_cpu()) {
      seed_generators(pass_key);
    }
    const model::EncodeOptions options = {
        .dropout = {.probability = plan_.recipe.dropout_prob, .key = pass_key},
        .recompute = passes_.recomputes ? model::Recompute::kPerLayer : model::Recompute::kNever};
    const at::Tensor outputs = encoder_->classify(input, options);
    const at::Tensor loss =
        task_loss_sum(outputs, chosen_targets(plan_.task, plan_.train.dataset, chosen, parameters_.device()));
    loss.mul(scaler_.factor()).backward();
  }
}

}  // namespace bertcram::train
