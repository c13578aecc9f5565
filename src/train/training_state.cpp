#include "training_state.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bertcram/util/error.h"

namespace bertcram::train {

TrainingState::TrainingState(const config::PretrainConfig& config, const model::BertShape& shape,
                             const Runtime& runtime)
    : parameters(model::parameter_specs(shape, {}), runtime.compute_type, runtime.device),
      optimizer(parameters, config.optim),
      bert(shape, parameters) {
  parameters.initialise(static_cast<uint64_t>(config.seed), shape.init_std);
}

void TrainingState::set_unigram_bias(const std::vector<uint64_t>& counts) {
  const c10::NoGradGuard no_grad;
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double smoothed_total = total + static_cast<double>(counts.size());
  std::vector<float> bias(counts.size());
  std::ranges::transform(counts, bias.begin(), [&](uint64_t count) {
    return static_cast<float>(std::log((static_cast<double>(count) + 1.0) / smoothed_total));
  });
  for (nn::NamedTensor& view : parameters.stored_views(parameters.masters())) {
    if (view.name == "cls.predictions.bias") {
      view.tensor.copy_(at::from_blob(bias.data(), {static_cast<int64_t>(bias.size())}, at::kFloat));
    }
  }
  parameters.sync_compute();
}

checkpoint::TrainTensors TrainingState::tensors() {
  return {.masters = parameters.stored_views(parameters.masters()),
          .first_moments = parameters.stored_views(optimizer.first_moments()),
          .second_moments = parameters.stored_views(optimizer.second_moments())};
}

void TrainingState::save(const std::filesystem::path& checkpoints, int64_t keep) {
  position.optimizer_steps = optimizer.steps_done();
  checkpoint::save_checkpoint(checkpoints, position, tensors(), keep);
}

void TrainingState::load(const std::filesystem::path& checkpoint) {
  position = checkpoint::load_checkpoint(checkpoint, tensors());
  optimizer.restore_steps(position.optimizer_steps);
  parameters.sync_compute();
}

}  // namespace bertcram::train
