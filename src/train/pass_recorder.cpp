#include "pass_recorder.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>

#include <cstdlib>
#include <string_view>

#include "bertcram/util/error.h"
#include "bertcram/util/out_of_memory.h"
#include "bertcram/util/shared_library.h"

namespace bertcram::train {
namespace {

/// nullptr where they are not wanted. @throws ResourceError where they are, and cannot be loaded
const CudaGraphs* cuda_graphs() {
  const char* const word = std::getenv("BERTCRAM_CUDA_GRAPHS");
  if (word == nullptr || std::string_view(word) != "on") {
    return nullptr;
  }
  const util::FoundFunction found = util::find_function(kCudaGraphLibrary, kGetCudaGraphs);
  if (found.address == nullptr) {
    throw ResourceError(cat("BERTCRAM_CUDA_GRAPHS=on, but passes cannot be recorded: ", found.problem,
                            "; without it they are started kernel by kernel"));
  }
  return reinterpret_cast<const CudaGraphs* (*)()>(found.address)();
}

BatchTensors empty_like(const BatchTensors& tensors) {
  return {.input = {.ids = at::empty_like(tensors.input.ids)},
          .positions = at::empty_like(tensors.positions),
          .targets = at::empty_like(tensors.targets)};
}

void copy(const BatchTensors& from, const BatchTensors& to) {
  to.input.ids.copy_(from.input.ids);
  to.positions.copy_(from.positions);
  to.targets.copy_(from.targets);
}

/// The results apart from where the next replay leaves its own.
BatchLoss copy_of(const BatchLoss& loss) {
  const auto cloned = [](const at::Tensor& each) { return each.defined() ? each.clone() : each; };
  return {.total = {},
          .masked_lm = cloned(loss.masked_lm),
          .replaced_tokens = cloned(loss.replaced_tokens),
          .replaced_tokens_correct = cloned(loss.replaced_tokens_correct)};
}

}  // namespace

PassRecorder::PassRecorder(at::Device device)
    : device_(device),
      graphs_(device.is_cuda() ? cuda_graphs() : nullptr),
      scale_(at::full({}, scale_value_, at::TensorOptions().dtype(at::kFloat).device(device))) {}

BatchLoss PassRecorder::run(const data::MaskedBatch& batch, double mask_prob, double scale, const Pass& pass) {
  const BatchTensors tensors = tensors_of(batch, device_);
  if (scale != scale_value_) {
    scale_.fill_(scale);
    scale_value_ = scale;
  }
  if (!is_on()) {
    return pass(tensors, mask_prob, scale_);
  }
  const Shape shape = {batch.rows, batch.seq_len, tensors.positions.numel(), mask_prob};
  if (!have_run_.contains(shape)) {
    forget();  // it needs memory that others' recordings hold
    BatchLoss loss;
    graphs_->run_beside([&] { loss = pass(tensors, mask_prob, scale_); });
    have_run_.insert(shape);
    return loss;
  }
  auto found = recordings_.find(shape);
  if (found == recordings_.end()) {
    found = recordings_.emplace(shape, record(tensors, mask_prob, pass)).first;
  }
  const Recording& recording = found->second;
  copy(tensors, recording.tensors);
  recording.graph->replay();
  return copy_of(recording.loss);
}

PassRecorder::Recording PassRecorder::record(const BatchTensors& tensors, double mask_prob, const Pass& pass) const {
  at::accelerator::emptyCache();  // a recording takes memory of its own, and nothing is given back while it is made
  Recording recording;
  recording.tensors = empty_like(tensors);
  const CudaGraph* const other = recordings_.empty() ? nullptr : recordings_.begin()->second.graph.get();
  try {
    recording.graph = graphs_->record([&] { recording.loss = pass(recording.tensors, mask_prob, scale_); }, other);
  } catch (const std::exception& error) {
    if (util::is_out_of_memory(error)) {
      throw;
    }
    throw ResourceError(
        cat("a pass could not be recorded as a CUDA graph; without BERTCRAM_CUDA_GRAPHS=on the same command goes "
            "on from the last checkpoint: ",
            error.what()));
  }
  recording.loss.total = at::Tensor();  // with all that backward needed
  return recording;
}

void PassRecorder::forget() {
  if (!recordings_.empty()) {
    recordings_.clear();
    at::accelerator::emptyCache();
  }
}

}  // namespace bertcram::train
