// Starts the kernels of GELU and GeGLU.

#include "activations_kernels.cuh"
#include "starting.cuh"

namespace bertcram::nn::kernels::cuda {

const char* gelu(Storage type, const void* x, int64_t count, void* y, Stream stream) {
  with_type(type, [&](auto number) {
    using T = decltype(number);
    gelu_kernel<<<blocks_for(count / Vector<T>::kCount), kThreads, 0, stream>>>(static_cast<const T*>(x), count,
                                                                                static_cast<T*>(y));
  });
  return launch_failure();
}

const char* gelu_backward(Storage type, const void* x, const void* y_gradient, int64_t count, void* x_gradient,
                          Stream stream) {
  with_type(type, [&](auto number) {
    using T = decltype(number);
    gelu_backward_kernel<<<blocks_for(count / Vector<T>::kCount), kThreads, 0, stream>>>(
        static_cast<const T*>(x), static_cast<const T*>(y_gradient), count, static_cast<T*>(x_gradient));
  });
  return launch_failure();
}

const char* geglu(Storage type, const void* x, int64_t rows, int64_t ffn, void* y, Stream stream) {
  with_type(type, [&](auto number) {
    using T = decltype(number);
    geglu_kernel<<<blocks_for(rows * ffn / Vector<T>::kCount), kThreads, 0, stream>>>(static_cast<const T*>(x), rows,
                                                                                      ffn, static_cast<T*>(y));
  });
  return launch_failure();
}

const char* geglu_backward(Storage type, const void* x, const void* y_gradient, int64_t rows, int64_t ffn,
                           void* x_gradient, Stream stream) {
  with_type(type, [&](auto number) {
    using T = decltype(number);
    geglu_backward_kernel<<<blocks_for(rows * ffn / Vector<T>::kCount), kThreads, 0, stream>>>(
        static_cast<const T*>(x), static_cast<const T*>(y_gradient), rows, ffn, static_cast<T*>(x_gradient));
  });
  return launch_failure();
}

}  // namespace bertcram::nn::kernels::cuda
