// A library of its own, because it needs CUDA's headers and LibTorch's CUDA half (see cuda_graph.h).

#include "cuda_graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace bertcram::train {
namespace {

/// CUDA records no work of the default stream.
const c10::cuda::CUDAStream& recording_stream() {
  static const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
  return stream;
}

class RecordedGraph : public CudaGraph {
 public:
  RecordedGraph(const std::function<void()>& work, const RecordedGraph* shares_with) {
    const c10::MempoolId_t pool = shares_with == nullptr ? c10::MempoolId_t{0, 0} : shares_with->pool_;
    c10::cuda::device_synchronize();
    const c10::cuda::CUDAStreamGuard guard(recording_stream());
    graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      end_in_vain();
      throw;
    }
    graph_.capture_end();
    pool_ = graph_.pool();
  }

  void replay() override { graph_.replay(); }

 private:
  /// Of a recording that cannot be used; what went wrong first is what matters.
  void end_in_vain() noexcept {
    try {
      graph_.capture_end();
    } catch (const std::exception&) {
    }
  }

  at::cuda::CUDAGraph graph_;
  c10::MempoolId_t pool_;
};

std::unique_ptr<CudaGraph> record(const std::function<void()>& work, const CudaGraph* shares_with) {
  return std::make_unique<RecordedGraph>(work, static_cast<const RecordedGraph*>(shares_with));
}

void run_beside(const std::function<void()>& work) {
  c10::cuda::device_synchronize();
  try {
    const c10::cuda::CUDAStreamGuard guard(recording_stream());
    work();
  } catch (...) {
    c10::cuda::device_synchronize();  // what it has started works on memory that others use next
    throw;
  }
  c10::cuda::device_synchronize();
}

}  // namespace
}  // namespace bertcram::train

extern "C" const bertcram::train::CudaGraphs* bertcram_cuda_graphs() {
  static const bertcram::train::CudaGraphs graphs = {.record = bertcram::train::record,
                                                     .run_beside = bertcram::train::run_beside};
  return &graphs;
}
