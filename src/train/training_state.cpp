#include "training_state.h"

#include <ATen/ops/aminmax.h>

#include <algorithm>
#include <cmath>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {

namespace {

bool are_finite(const at::Tensor& values) {
  const auto [lowest, highest] = at::aminmax(values);  // a reduction: memory may be tight; NaN is both
  return std::isfinite(lowest.item<double>()) && std::isfinite(highest.item<double>());
}

}  // namespace

bool is_finite(nn::Parameters& parameters) {
  // The gaps between them, which no checkpoint has, may hold what an update with an infinite rate left.
  return are_finite(parameters.masters()) ||
         std::ranges::all_of(parameters.stored_views(parameters.masters()), are_finite, &nn::NamedTensor::tensor);
}

TrainingState::TrainingState(const config::PretrainConfig& config, const model::EncoderShape& shape,
                             const Runtime& runtime)
    : parameters(objective_specs(config, shape), runtime.compute_type, runtime.device),
      optimizer(parameters, config.optim),
      scaler(runtime.compute_type),
      objective(make_objective(config, shape, parameters)) {
  parameters.initialise(static_cast<uint64_t>(config.seed), shape.init_std);
}

checkpoint::TrainTensors train_tensors(nn::Parameters& parameters, optim::Optimizer& optimizer) {
  return {.masters = parameters.stored_views(parameters.masters()),
          .first_moments = parameters.stored_views(optimizer.first_moments()),
          .second_moments = parameters.stored_views(optimizer.second_moments())};
}

void TrainingState::load(const std::filesystem::path& checkpoint) {
  position = checkpoint::load_checkpoint(checkpoint, tensors());
  if (!is_finite(parameters)) {
    throw DataError(cat(checkpoint.string(), ": its weights are not all numbers"));
  }
  optimizer.restore_steps(position.optimizer_steps);
  scaler.restore(position.loss_scale);
  parameters.sync_compute();
}

checkpoint::StoredModel TrainingState::stored(const TrainedModel& model) {
  return {.shape = model.shape,
          .head = model.head,
          .tensors = checkpoint::model_tensors(model.shape, model.head, parameters, model.prefix)};
}

void TrainingState::write_models(const std::filesystem::path& run, const text::Tokenizer& tokenizer) {
  for (const TrainedModel& model : objective->models()) {
    checkpoint::write_model_directory(run / model.folder, stored(model), tokenizer);
  }
}

void TrainingState::leave_models(const std::filesystem::path& run, const text::Tokenizer& tokenizer) noexcept {
  try {
    if (is_finite(parameters)) {
      write_models(run, tokenizer);
      return;
    }
    util::log_warning("pretrain", cat("no model of step ", position.step, ": its weights are no numbers"));
  } catch (const std::exception& error) {
    util::log_warning("pretrain", cat("no model of step ", position.step, ": ", error.what()));
  }
}

bool TrainingState::has_models(const std::filesystem::path& run, const text::Tokenizer& tokenizer) {
  return std::ranges::all_of(objective->models(), [&](const TrainedModel& model) {
    return checkpoint::is_model_of(run / model.folder, stored(model), tokenizer);
  });
}

}  // namespace bertcram::train
