#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "batch_tensors.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/train/objective.h"
#include "cuda_graph.h"

namespace bertcram::train {

/// Runs forward and backward passes on a GPU as CUDA graphs, one for each shape that occurs: kernels, order and bits are the same,
/// but the processor starts a pass at once and not kernel by kernel, which takes longer than many of them run.
///
/// The first pass of each shape runs as it is, the second is recorded: what libraries prepare for a shape cannot be recorded.
class PassRecorder {
 public:
  /// Adds to the gradients of the parameters. @param scale  [] fp32, by which the loss is multiplied for backward
  using Pass = std::function<BatchLoss(const BatchTensors& tensors, double mask_prob, const at::Tensor& scale)>;

  /// @throws ResourceError on a GPU where BERTCRAM_CUDA_GRAPHS=on asks for recordings and the library cannot be loaded
  explicit PassRecorder(at::Device device);

  /// @param mask_prob  handed to the pass, and part of the shape
  /// @throws ResourceError if a pass cannot be recorded: LibTorch is not to be used any more
  BatchLoss run(const data::MaskedBatch& batch, double mask_prob, double scale, const Pass& pass);
  /// On a GPU where the environment says BERTCRAM_CUDA_GRAPHS=on.
  bool is_on() const { return graphs_ != nullptr; }
  /// Gives the recordings' memory back. It has to be called where anything but passes and updates needs much of it.
  void forget();

 private:
  using Shape = std::tuple<int64_t, int64_t, int64_t, double>;  // rows, seq, predictions, mask_prob
  struct Recording {
    BatchTensors tensors;  ///< where the graph finds its input
    BatchLoss loss;        ///< where it leaves its results
    std::unique_ptr<CudaGraph> graph;
  };
  Recording record(const BatchTensors& tensors, double mask_prob, const Pass& pass) const;

  at::Device device_;
  const CudaGraphs* graphs_;
  double scale_value_ = 1;
  at::Tensor scale_;  ///< [] fp32, of that value
  std::set<Shape> have_run_;
  std::map<Shape, Recording> recordings_;
};

}  // namespace bertcram::train
