#include "checkpointing.h"

#include <algorithm>

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
  best_loss_ = kNoLoss;  // what came behind is given up
  is_best_ = false;
}

void Checkpointing::after_evaluation(double held_out_loss) {
  is_best_ = config_.keep_best && held_out_loss < best_loss_;
  best_loss_ = std::min(best_loss_, held_out_loss);
}

bool Checkpointing::is_due() const {
  const auto& position = state_.position;
  if (position.step == saved_step_) {
    return false;
  }
  if (retry_seconds_ > 0) {
    return position.elapsed_seconds >= retry_seconds_;
  }
  const int64_t saved_step = std::max<int64_t>(saved_step_, 0);
  const bool by_steps =
      config_.every_steps > 0 && position.step / config_.every_steps > saved_step / config_.every_steps;
  const double every = util::parse_duration(config_.every_time).value_or(0.0);
  return is_best_ || by_steps || (every > 0 && position.elapsed_seconds - saved_seconds_ >= every);
}

void Checkpointing::save_in_background() {
  try {
    finish_writing();
    make_room();
    is_saving();
    writer_.start(state_.position, state_.tensors(), retention_of(config_));
  } catch (const std::exception& error) {
    note_failure(state_.position.step, error);
  }
}

void Checkpointing::save_now() {
  finish_writing();
  if (saved_step_ == state_.position.step) {
    try {
      checkpoint::update_state(directory_, state_.position);
      return;
    } catch (const DataError& error) {
      util::log_warning("pretrain", cat("writing the checkpoint again: ", error.what()));
    }
  }
  make_room();
  writer_.write(state_.position, state_.tensors(), retention_of(config_));
  is_saving();
}

void Checkpointing::make_room() {
  const int64_t removed = checkpoint::make_room(directory_, state_.tensors(), retention_of(config_));
  if (removed > 0) {
    util::log_warning("pretrain", cat(directory_.string(), ": no room for another checkpoint; ", removed,
                                      removed == 1 ? " older one is" : " older ones are", " removed"));
  }
}

void Checkpointing::is_saving() {
  saved_step_ = state_.position.step;
  saved_seconds_ = state_.position.elapsed_seconds;
  retry_seconds_ = 0;
  is_best_ = false;
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
    note_failure(saved_step_, error);
  }
}

bool Checkpointing::has_any() {
  finish_writing();
  return !checkpoint::list_checkpoints(directory_).empty();
}

void Checkpointing::note_failure(int64_t step, const std::exception& error) {
  util::log_error("pretrain", cat("no checkpoint of step ", step, ": ", error.what(), "; trying again in ",
                                  util::format_duration(kRetrySeconds)));
  const bool was_begun = step == saved_step_;  // if not, the one before is where it was
  if (was_begun || is_best_) {
    best_loss_ = kNoLoss;  // of what may not be on disk
  }
  if (was_begun) {
    saved_step_ = kNoStep;
  }
  retry_seconds_ = state_.position.elapsed_seconds + kRetrySeconds;
}

}  // namespace bertcram::train
