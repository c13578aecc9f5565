#include "bertcram/train/task_runner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "bertcram/glue/batching.h"
#include "bertcram/optim/loss_scaler.h"
#include "bertcram/train/schedule.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/random.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

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

/// Labels or scores of the chosen examples. @return [batch] int64 or fp32
at::Tensor chosen_targets(const EncodedSplit& split, std::span<const int64_t> chosen, at::Device device) {
  const auto batch = static_cast<int64_t>(chosen.size());
  const bool is_regression = split.labels.empty();
  at::Tensor targets = at::empty({batch}, is_regression ? at::kFloat : at::kLong);
  for (int64_t i = 0; i < batch; ++i) {
    const auto index = static_cast<size_t>(chosen[static_cast<size_t>(i)]);
    if (is_regression) {
      targets.data_ptr<float>()[i] = split.targets[index];
    } else {
      targets.data_ptr<int64_t>()[i] = split.labels[index];
    }
  }
  return targets.to(device);
}

/// Cross-entropy or squared error, summed over the batch. @param outputs [batch, classes] fp32
at::Tensor task_loss_sum(const at::Tensor& outputs, const at::Tensor& targets) {
  return targets.is_floating_point() ? at::mse_loss(outputs.squeeze(1), targets, at::Reduction::Sum)
                                     : at::cross_entropy_loss(outputs, targets, {}, at::Reduction::Sum);
}

/// Forward and backward of one batch in passes of micro_examples. @return summed loss, [] fp32, without gradient
at::Tensor accumulate_batch(const model::Encoder& encoder, nn::Parameters& parameters, const EncodedSplit& train,
                            std::span<const int64_t> batch, const FinetuneOptions& options, uint64_t key,
                            double loss_factor) {
  const size_t micro = options.micro_examples > 0 ? static_cast<size_t>(options.micro_examples) : batch.size();
  at::Tensor sum = at::zeros({}, at::TensorOptions(at::kFloat).device(parameters.device()));
  for (size_t first = 0; first < batch.size(); first += micro) {
    const auto chosen = batch.subspan(first, std::min(micro, batch.size() - first));
    const auto input =
        padded_batch(train.texts, chosen, encoder.shape().pad_id, parameters.compute_type(), parameters.device());
    const nn::Dropout dropout = {.probability = options.recipe.dropout_prob, .key = util::mix_key({key, first})};
    const at::Tensor outputs = encoder.classify(encoder.encode(input, {.dropout = dropout}), input, dropout);
    const at::Tensor loss = task_loss_sum(outputs, chosen_targets(train, chosen, parameters.device()));
    loss.mul(loss_factor).backward();
    sum += loss.detach();
    parameters.accumulate_gradients();
  }
  return sum;
}

}  // namespace

EncodedSplit encode_split(const glue::Dataset& dataset, const std::string& reported_name,
                          const text::Tokenizer& tokenizer, int64_t max_tokens) {
  EncodedSplit split;
  split.reported_name = reported_name;
  for (const glue::Example& example : dataset.examples) {
    split.texts.push_back(encode_text(tokenizer, example.text_a, example.text_b, max_tokens, split.truncated));
    split.lengths.push_back(static_cast<int64_t>(split.texts.back().ids.size()));
    if (example.label != glue::kNoLabel) {
      split.labels.push_back(example.label);
    } else {
      split.targets.push_back(example.target);
    }
  }
  return split;
}

model::Head task_head(const glue::TaskSpec& task) {
  return {.kind = model::HeadKind::kClassifier, .outputs = task.classes(), .label_words = task.labels};
}

int64_t text_limit(const model::EncoderShape& shape, const glue::TaskSpec& task, int64_t wanted) {
  constexpr int64_t kFewest = 8;  // what is left of a pair beside [CLS] and two [SEP] should still say something
  if (wanted < kFewest) {
    throw ConfigError(
        cat("texts of ", wanted, " tokens (--max-tokens) are too short to learn from; give at least ", kFewest));
  }
  if (shape.max_positions < kFewest) {
    throw DataError(cat("the model takes only ", shape.max_positions, " tokens; at least ", kFewest, " are needed"));
  }
  if (task.train && task.train->sources.front().text_b && shape.arch == config::Arch::kBert && shape.token_types < 2) {
    throw DataError(cat(task.name,
                        ": its examples are pairs, and the model has one token type (type_vocab_size); use "
                        "a model with two"));
  }
  return std::min(wanted, shape.max_positions);
}

std::optional<std::vector<float>> classifier_outputs(const model::Encoder& encoder, const nn::Parameters& parameters,
                                                     const EncodedSplit& split, int64_t batch_examples,
                                                     const util::StopFlag& stop) {
  const c10::NoGradGuard no_grad;
  std::vector<float> outputs;
  for (const glue::Batch& batch : glue::evaluation_batches(split.lengths, batch_examples)) {
    if (stop.requested()) {
      return std::nullopt;
    }
    const auto input =
        padded_batch(split.texts, batch, encoder.shape().pad_id, parameters.compute_type(), parameters.device());
    const at::Tensor rows = encoder.classify(encoder.encode(input), input).to(at::kCPU).contiguous();
    const auto width = static_cast<size_t>(rows.size(1));
    outputs.resize(static_cast<size_t>(split.size()) * width);
    for (size_t i = 0; i < batch.size(); ++i) {
      const float* row = rows.data_ptr<float>() + i * width;
      std::copy(row, row + width, outputs.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(batch[i]) * width));
    }
  }
  return outputs;
}

bool are_finite(const std::vector<float>& outputs) {
  return std::ranges::all_of(outputs, [](float output) { return std::isfinite(output); });
}

glue::MetricValues score_outputs(const glue::TaskSpec& task, const EncodedSplit& split,
                                 const std::vector<float>& outputs) {
  if (task.kind == glue::TaskKind::kRegression) {
    return glue::to_score_points(glue::compute_metrics(task, outputs, split.targets));
  }
  const auto classes = static_cast<std::ptrdiff_t>(task.classes());
  std::vector<int32_t> predictions;
  for (auto row = outputs.begin(); row != outputs.end(); row += classes) {
    predictions.push_back(static_cast<int32_t>(std::max_element(row, row + classes) - row));
  }
  return glue::to_score_points(glue::compute_metrics(task, predictions, split.labels));
}

bool finetune(const model::Encoder& encoder, nn::Parameters& parameters, const glue::TaskSpec& task,
              const EncodedSplit& train, const FinetuneOptions& options, const util::StopFlag& stop,
              util::Progress& progress) {
  optim::Optimizer optimizer(parameters, optim_config(options.recipe));
  optim::LossScaler scaler(parameters.compute_type());
  const config::ScheduleConfig schedule = schedule_config(options.recipe);
  const int64_t per_epoch = glue::batches_per_epoch(train.size(), options.recipe.batch_examples);
  const auto total_steps = static_cast<double>(per_epoch * options.recipe.epochs);
  const auto seed = static_cast<uint64_t>(options.seed);
  int64_t step = 0;
  for (int64_t epoch = 0; epoch < options.recipe.epochs; ++epoch) {
    const auto batches = glue::training_batches(
        train.lengths, {.batch_examples = options.recipe.batch_examples, .seed = seed, .epoch = epoch});
    at::Tensor loss_sum = at::zeros({}, at::TensorOptions(at::kFloat).device(parameters.device()));
    for (const glue::Batch& batch : batches) {
      if (stop.requested()) {
        return false;
      }
      const uint64_t key =
          util::mix_key({seed, static_cast<uint64_t>(util::RandomPurpose::kDropout), static_cast<uint64_t>(step)});
      seed_generators(key);
      loss_sum += accumulate_batch(encoder, parameters, train, batch, options, key, scaler.factor());
      const double lr =
          learning_rate(schedule, options.recipe.learning_rate, (static_cast<double>(step) + 0.5) / total_steps);
      const bool is_finite = optimizer.step(lr, static_cast<double>(batch.size()) * scaler.factor()).is_finite;
      if (!scaler.update(is_finite) && !is_finite) {
        throw DivergedError(cat("finetune-glue: ", task.name, " seed ", options.seed,
                                ": the gradient became non-finite at step ", step + 1, "; lower --learning-rate"));
      }
      ++step;
      progress.add(static_cast<int64_t>(batch.size()));
    }
    util::log_debug("finetune-glue",
                    cat(task.name, " seed ", options.seed, ", epoch ", epoch + 1, ": mean training loss ",
                        util::format_fixed(loss_sum.item<double>() / static_cast<double>(train.size()), 4)));
  }
  return true;
}

}  // namespace bertcram::train
