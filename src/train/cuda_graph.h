#pragma once
// What libbertcram_cuda_graph.so offers. No CUDA header is seen here, so that a build without them has the same sources.

#include <functional>
#include <memory>

namespace bertcram::train {

/// Work of a GPU that was recorded once and can be started again as a whole, without what starting every kernel costs.
class CudaGraph {
 public:
  virtual ~CudaGraph() = default;
  /// Starts the work behind what was started before, on the same addresses.
  virtual void replay() = 0;
};

struct CudaGraphs {
  /// Records what `work` starts; it does not run. What `work` allocates belongs to the graph, and to all that share its memory: they
  /// are not to run at once.
  /// @param shares_with  may be null  @throws what LibTorch throws where something cannot be recorded
  std::unique_ptr<CudaGraph> (*record)(const std::function<void()>& work, const CudaGraph* shares_with);
  /// Runs `work` on the stream that recordings are made on, so that what libraries keep for each stream is there when they are.
  void (*run_beside)(const std::function<void()>& work);
};

/// The name under which the library has a function `const CudaGraphs*()`.
inline constexpr const char* kGetCudaGraphs = "bertcram_cuda_graphs";
inline constexpr const char* kCudaGraphLibrary = "libbertcram_cuda_graph.so";

}  // namespace bertcram::train
