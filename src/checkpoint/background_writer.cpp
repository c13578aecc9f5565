#include "bertcram/checkpoint/background_writer.h"

#include <chrono>
#include <optional>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/out_of_memory.h"

namespace bertcram::checkpoint {
namespace {

/// In the memory of the host: nothing of them is shared.
std::vector<nn::NamedTensor> copied(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<nn::NamedTensor> copies;
  copies.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    copies.push_back({name, tensor.detach().to(at::kCPU, tensor.scalar_type(), /*non_blocking=*/false, /*copy=*/true)});
  }
  return copies;
}

/// nullopt if they find no memory
std::optional<TrainTensors> copied(const TrainTensors& tensors) {
  try {
    return TrainTensors{.masters = copied(tensors.masters),
                        .first_moments = copied(tensors.first_moments),
                        .second_moments = copied(tensors.second_moments)};
  } catch (const std::exception& error) {
    if (!util::is_out_of_memory(error)) {
      throw;
    }
    return std::nullopt;
  }
}

}  // namespace

BackgroundWriter::~BackgroundWriter() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

void BackgroundWriter::start(const TrainState& state, const TrainTensors& tensors, const Retention& retention) {
  wait();
  require_room(directory_, tensors);
  auto copies = copied(tensors);
  if (!copies) {
    util::log_info("checkpoint", "no memory for a copy: training waits until the checkpoint is written");
    write(state, tensors, retention);
    return;
  }
  is_busy_ = true;
  try {
    thread_ = std::thread([this, state, retention, copies = std::move(*copies)] {
      try {
        save(state, copies, retention);
      } catch (...) {
        failure_ = std::current_exception();
      }
      is_busy_ = false;
    });
  } catch (...) {  // no thread to be had
    is_busy_ = false;
    throw;
  }
}

void BackgroundWriter::write(const TrainState& state, const TrainTensors& tensors, const Retention& retention) {
  wait();
  require_room(directory_, tensors);
  save(state, tensors, retention);
}

void BackgroundWriter::save(const TrainState& state, const TrainTensors& tensors, const Retention& retention) {
  const auto start = std::chrono::steady_clock::now();
  save_checkpoint(directory_, state, tensors, retention);
  seconds_of_last_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void BackgroundWriter::wait() {
  if (thread_.joinable()) {
    thread_.join();
  }
  if (failure_) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

}  // namespace bertcram::checkpoint
