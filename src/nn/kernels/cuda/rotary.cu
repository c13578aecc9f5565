// Starts the kernel of rotary positions.

#include "rotary_kernels.cuh"
#include "starting.cuh"

namespace bertcram::nn::kernels::cuda {

const char* rotate(Storage type, const QkvShape& shape, const void* qkv, const float* cosines, const float* sines,
                   void* out, Stream stream) {
  with_type(type, [&](auto number) {
    using T = decltype(number);
    const int64_t vectors = shape.tokens * 3 * shape.heads * shape.half / Vector<T>::kCount;
    rotate_kernel<<<blocks_for(vectors), kThreads, 0, stream>>>(shape, static_cast<const T*>(qkv), cosines, sines,
                                                                static_cast<T*>(out));
  });
  return launch_failure();
}

}  // namespace bertcram::nn::kernels::cuda
