#include "bertcram/checkpoint/background_writer.h"

#include <utility>

namespace bertcram::checkpoint {
namespace {

/// In the memory of the host, one after the other: nothing of them is shared.
std::vector<nn::NamedTensor> copied(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<nn::NamedTensor> copies;
  copies.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    copies.push_back({name, tensor.detach().to(at::kCPU, tensor.scalar_type(), /*non_blocking=*/false, /*copy=*/true)});
  }
  return copies;
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
  TrainTensors copies = {.masters = copied(tensors.masters),
                         .first_moments = copied(tensors.first_moments),
                         .second_moments = copied(tensors.second_moments)};
  is_busy_ = true;
  thread_ = std::thread([this, state, retention, copies = std::move(copies)] {
    try {
      save_checkpoint(directory_, state, copies, retention);
    } catch (...) {
      failure_ = std::current_exception();
    }
    is_busy_ = false;
  });
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
