#include "training_state.h"

#include <algorithm>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {

TrainingState::TrainingState(const config::PretrainConfig& config, const model::EncoderShape& shape,
                             const Runtime& runtime)
    : TrainableWeights(objective_specs(config, shape), config.optim, runtime),
      objective(make_objective(config, shape, parameters)) {
  parameters.initialise(static_cast<uint64_t>(config.seed), shape.init_std);
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
