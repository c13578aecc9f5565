// The table by which the library is used; found by its name with dlsym.

#include "starting.cuh"

extern "C" const bertcram::nn::kernels::cuda::Kernels* bertcram_cuda_kernels() {
  namespace cuda = bertcram::nn::kernels::cuda;
  static const cuda::Kernels kernels = {cuda::gelu,        cuda::gelu_backward, cuda::geglu, cuda::geglu_backward,
                                        cuda::rotate,      cuda::cross_entropy, cuda::norm,  cuda::norm_backward,
                                        cuda::column_sums, cuda::adamw};
  return &kernels;
}
