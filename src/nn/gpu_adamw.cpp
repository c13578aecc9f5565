#include "bertcram/nn/gpu_adamw.h"

#include <cmath>

#include "fused_cuda.h"
#include "start_on_gpu.h"

namespace bertcram::nn {

namespace cuda = kernels::cuda;

bool gpu_adamw(const AdamwStep& step, const GpuAdamwBuffers& buffers) {
  if (!can_fuse_on_gpu(buffers.masters)) {
    return false;
  }
  const auto number = static_cast<double>(step.number);
  const cuda::AdamWStep factors = {.learning_rate = static_cast<float>(step.learning_rate),
                                   .beta1 = static_cast<float>(step.beta1),
                                   .beta2 = static_cast<float>(step.beta2),
                                   .epsilon = static_cast<float>(step.epsilon),
                                   .weight_decay = static_cast<float>(step.weight_decay),
                                   .correction1 = static_cast<float>(1 - std::pow(step.beta1, number)),
                                   .correction2_root = static_cast<float>(std::sqrt(1 - std::pow(step.beta2, number))),
                                   .gradient_factor = static_cast<float>(step.gradient_factor)};
  const bool has_copy = buffers.copy.defined();
  const cuda::AdamWBuffers addresses = {.masters = buffers.masters.mutable_data_ptr<float>(),
                                        .gradients = buffers.gradients.mutable_data_ptr<float>(),
                                        .first_moments = buffers.first_moments.mutable_data_ptr<float>(),
                                        .second_moments = buffers.second_moments.mutable_data_ptr<float>(),
                                        .copy = has_copy ? buffers.copy.mutable_data_ptr() : nullptr,
                                        .count = buffers.masters.numel()};
  const auto type = has_copy ? storage_of(buffers.copy) : cuda::Storage::kFloat32;
  start_beside(buffers.masters, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
    return kernels.adamw(factors, type, addresses, stream);
  });
  return true;
}

}  // namespace bertcram::nn
