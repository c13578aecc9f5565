#include "checkpointing.h"

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

constexpr int64_t kNoStep = -1;
constexpr double kRetrySeconds = 60.0;

}  // namespace

checkpoint::Retention retention_of(const config::CheckpointConfig& config) {
  return {.newest = config.keep,
          .best = config.keep_best,
          .every_seconds = util::parse_duration(config.keep_every).value_or(0.0)};
}

Checkpointing::Checkpointing(const config::CheckpointConfig& config, std::filesystem::path directory,
                             TrainingState& state)
    : config_(config), directory_(directory), state_(state), writer_(std::move(directory)), saved_step_(kNoStep) {}

void Checkpointing::starts_here(bool is_saved) {
  saved_step_ = is_saved ? state_.position.step : kNoStep;
  saved_seconds_ = state_.position.elapsed_seconds;
  retry_seconds_ = 0;
}

bool Checkpointing::is_due() const {
  const auto& position = state_.position;
  if (position.step == saved_step_) {
    return false;
  }
  if (retry_seconds_ > 0) {
    return position.elapsed_seconds >= retry_seconds_;
  }
  const bool by_steps = config_.every_steps > 0 && position.step % config_.every_steps == 0;
  const double every = util::parse_duration(config_.every_time).value_or(0.0);
  return by_steps || (every > 0 && position.elapsed_seconds - saved_seconds_ >= every);
}

void Checkpointing::save_in_background() {
  try {
    start_writing();
  } catch (const ResourceError& error) {
    note_failure(error);
  }
}

void Checkpointing::save_now() {
  finish_writing();
  if (saved_step_ == state_.position.step) {
    checkpoint::update_state(directory_, state_.position);
  } else {
    start_writing();
    writer_.wait();
  }
}

void Checkpointing::start_writing() {
  const checkpoint::TrainTensors tensors = state_.tensors();
  finish_writing();
  if (!checkpoint::has_room(directory_, tensors) && checkpoint::list_checkpoints(directory_).size() > 1) {
    util::log_warning("pretrain", cat(directory_.string(), ": no room for another checkpoint; only the newest stays"));
    checkpoint::clean_up(directory_, {.newest = 1});
  }
  writer_.start(state_.position, tensors, retention_of(config_));
  saved_step_ = state_.position.step;
  saved_seconds_ = state_.position.elapsed_seconds;
  retry_seconds_ = 0;
}

void Checkpointing::poll() {
  if (!writer_.is_busy()) {
    finish_writing();
  }
}

void Checkpointing::finish_writing() {
  try {
    writer_.wait();
  } catch (const std::exception& error) {
    note_failure(error);
  }
}

void Checkpointing::note_failure(const std::exception& error) {
  util::log_error("pretrain", cat("no checkpoint at step ", state_.position.step, ": ", error.what(),
                                  "; trying again in ", util::format_duration(kRetrySeconds)));
  saved_step_ = kNoStep;
  retry_seconds_ = state_.position.elapsed_seconds + kRetrySeconds;
}

}  // namespace bertcram::train
