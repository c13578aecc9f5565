// Starts the kernel of AdamW.

#include "adamw_kernels.cuh"
#include "starting.cuh"

namespace bertcram::nn::kernels::cuda {

const char* adamw(const AdamWStep& step, Storage copy_type, const AdamWBuffers& buffers, Stream stream) {
  with_type(copy_type, [&](auto number) {
    using T = decltype(number);
    adamw_kernel<<<blocks_for(buffers.count), kThreads, 0, stream>>>(step, buffers, static_cast<T*>(buffers.copy));
  });
  return launch_failure();
}

}  // namespace bertcram::nn::kernels::cuda
