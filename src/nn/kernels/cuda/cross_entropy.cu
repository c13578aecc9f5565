// Starts the kernel of the loss.

#include "cross_entropy_kernels.cuh"
#include "starting.cuh"

namespace bertcram::nn::kernels::cuda {

const char* cross_entropy(Storage type, void* logits, int64_t rows, int64_t vocab, const int64_t* targets,
                          float error_scale, float* losses, Stream stream) {
  constexpr int64_t kMostBlocks = 65'535;
  const auto blocks = static_cast<unsigned>(std::min(rows, kMostBlocks));
  with_type(type, [&](auto number) {
    using T = decltype(number);
    cross_entropy_kernel<<<blocks, kRowThreads, 0, stream>>>(static_cast<T*>(logits), rows, vocab, targets, error_scale,
                                                             losses);
  });
  return launch_failure();
}

}  // namespace bertcram::nn::kernels::cuda
