#include "train_step.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "bertcram/plan/workload.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/out_of_memory.h"
#include "bertcram/util/random.h"
#include "micro_batch.h"

namespace bertcram::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TrainStep::TrainStep(const config::PretrainConfig& config, const Runtime& runtime, const data::MaskedBatches& batches,
                     TrainingState& state)
    : config_(config),
      runtime_(runtime),
      batches_(batches),
      state_(state),
      passes_{.rows = 1, .recomputes = config.batch.recompute},
      pass_recorder_(runtime.device) {}

void TrainStep::choose_passes(const checkpoint::Passes& stored) {
  const int64_t most = config_.batch.rows;
  if (config_.batch.micro_rows > 0) {
    passes_.rows = std::min(config_.batch.micro_rows, most);
  } else if (stored.rows > 0) {
    passes_ = {.rows = std::min(stored.rows, most), .recomputes = stored.recomputes || config_.batch.recompute};
  } else if (runtime_.device.is_cpu()) {
    passes_.rows = plan::usual_rows_per_pass(batches_.seq_len(), most);
  } else {
    search_passes();
  }
}

void TrainStep::search_passes() {
  const auto search = [this] {
    return fastest_rows_per_pass(config_.batch.rows, [this](int64_t rows) { return seconds_of_pass(rows); });
  };
  auto found = search();
  if (!found && !passes_.recomputes) {
    passes_.recomputes = true;
    util::log_warning("pretrain", "not even one row fits the memory: activations are computed again when needed");
    found = search();
  }
  if (!found) {
    throw ResourceError("not even one row at a time fits the memory; use a smaller model");
  }
  passes_.rows = *found;
}

/// Forward and backward, the third time: those before find their memory and are recorded.
std::optional<double> TrainStep::seconds_of_pass(int64_t rows) {
  const StepSettings settings = {.learning_rate = 0, .rows = rows, .mask_prob = mask_prob_at(config_.mask, 0.0)};
  const util::StopFlag never;
  passes_.rows = rows;
  std::optional<double> seconds;
  try {
    for (int repeat = 0; repeat < 3; ++repeat) {
      const auto start = std::chrono::steady_clock::now();
      const auto sums = accumulate(settings, never);
      state_.parameters.gradients().sum().item<double>();  // waits for the device
      seconds = seconds_since(start);
    }
  } catch (const std::exception& error) {
    if (!util::is_out_of_memory(error)) {
      throw;
    }
    seconds = std::nullopt;
  }
  pass_recorder_.forget();
  clear_attempt(state_.parameters);
  return seconds;
}

/// Seconds since that time, which moves on to now.
double TrainStep::lap(std::chrono::steady_clock::time_point& since) const {
  if (is_separating_phases_ && !runtime_.device.is_cpu()) {
    at::accelerator::synchronizeDevice(runtime_.device.index());
  }
  const auto before = std::exchange(since, std::chrono::steady_clock::now());
  return std::chrono::duration<double>(since - before).count();
}

std::optional<StepFigures> TrainStep::run(const StepSettings& settings, const util::StopFlag& stop,
                                          const std::function<void(double divisor)>& before_update) {
  auto& position = state_.position;
  const auto sums = accumulate_or_back_off(settings, stop);
  if (!sums) {
    state_.parameters.zero_gradients();
    return std::nullopt;
  }
  if (sums->masked == 0) {
    throw DataError(cat("pretrain: the rows of step ", position.step + 1,
                        " hold no token that can be predicted, only special and unknown ones; does the tokenizer fit "
                        "the text?"));
  }
  const auto masked = static_cast<double>(sums->masked);
  const double rate = settings.learning_rate * position.rate_factor;
  if (before_update) {
    before_update(state_.divisor(masked));
  }
  auto since = std::chrono::steady_clock::now();
  const UpdateReport report = state_.update(rate, masked);
  const int64_t tokens = settings.rows * batches_.seq_len();
  StepFigures figures = {.loss = sums->loss.masked_lm.item<double>() / masked,
                         .learning_rate = rate,
                         .gradient_norm = report.gradient_norm,
                         .memory_bytes = peak_memory_bytes(runtime_),
                         .tokens = tokens,
                         .phases = sums->phases,
                         .outcome = report.outcome};
  figures.phases.update = lap(since);
  if (sums->loss.replaced_tokens.defined()) {
    figures.replaced_token_loss = sums->loss.replaced_tokens.item<double>() / static_cast<double>(tokens);
    figures.replaced_token_accuracy = sums->loss.replaced_tokens_correct.item<double>() / static_cast<double>(tokens);
  }
  ++position.step;
  position.samples += settings.rows;
  position.tokens += tokens;
  return figures;
}

std::optional<TrainStep::Sums> TrainStep::accumulate_or_back_off(const StepSettings& settings,
                                                                 const util::StopFlag& stop) {
  return with_back_off(passes_, state_.parameters, {"pretrain", cat("step ", state_.position.step + 1)}, [&] {
    try {
      return accumulate(settings, stop);
    } catch (...) {
      pass_recorder_.forget();
      throw;
    }
  });
}

std::optional<TrainStep::Sums> TrainStep::accumulate(const StepSettings& settings, const util::StopFlag& stop) {
  Sums sums;
  for (int64_t row = 0; row < settings.rows; row += passes_.rows) {
    if (row > 0 && stop.requested()) {
      return std::nullopt;
    }
    const int64_t first = state_.position.samples + row;
    auto since = std::chrono::steady_clock::now();
    const auto batch = batches_.assemble(first, std::min(passes_.rows, settings.rows - row), settings.mask_prob);
    sums.phases.load += lap(since);
    const uint64_t key =
        util::mix_key({static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(util::RandomPurpose::kDropout),
                       static_cast<uint64_t>(first)});
    seed_generators(key);
    sums.loss.add(run_pass(batch, key, sums.phases));
    sums.masked += static_cast<int64_t>(batch.targets.size());
  }
  return sums;
}

/// Forward and backward.
BatchLoss TrainStep::run_pass(const data::MaskedBatch& batch, uint64_t key, PhaseSeconds& phases) {
  auto since = std::chrono::steady_clock::now();
  const model::EncodeOptions options = {
      .dropout = {.probability = config_.model.dropout, .key = key},
      .recompute = passes_.recomputes ? model::Recompute::kPerLayer : model::Recompute::kNever};
  if (can_record()) {
    const auto pass = [&](const BatchTensors& tensors, double mask_prob, const at::Tensor& scale) {
      const BatchLoss loss = state_.objective->loss(tensors, mask_prob, options);
      loss.total.mul(scale).backward();
      return loss;
    };
    const BatchLoss loss = pass_recorder_.run(batch, state_.objective->needs_mask_prob() ? batch.mask_prob : 0.0,
                                              state_.scaler.factor(), pass);
    phases.backward += lap(since);
    return loss;
  }
  const BatchLoss loss = state_.objective->loss(batch, options);
  phases.forward += lap(since);
  state_.backward(loss.total);
  phases.backward += lap(since);
  return loss;
}

/// Not where a share of masked tokens that changes with every step is part of the loss: each would be a recording of its own.
bool TrainStep::can_record() const {
  const bool has_few_shapes = !state_.objective->needs_mask_prob() || !config_.mask.is_scheduled();
  return pass_recorder_.is_on() && has_few_shapes && !passes_.recomputes && !is_separating_phases_;
}

}  // namespace bertcram::train
