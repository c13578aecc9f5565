// Starts the kernels of layer normalisation.

#include "norm_kernels.cuh"
#include "starting.cuh"

namespace bertcram::nn::kernels::cuda {

const char* norm(Storage type, const NormForward& call, Stream stream) {
  constexpr int64_t kMostBlocks = 65'535;
  const auto blocks = static_cast<unsigned>(std::min(call.rows, kMostBlocks));
  with_type(type, [&](auto number) { norm_kernel<decltype(number)><<<blocks, kNormThreads, 0, stream>>>(call); });
  return launch_failure();
}

const char* norm_backward(Storage type, const NormBackward& call, Stream stream) {
  const auto blocks = static_cast<unsigned>(call.parts);
  with_type(type,
            [&](auto number) { norm_backward_kernel<decltype(number)><<<blocks, kNormThreads, 0, stream>>>(call); });
  return launch_failure();
}

}  // namespace bertcram::nn::kernels::cuda
