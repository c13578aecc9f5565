#include "bertcram/nn/to_device.h"

namespace bertcram::nn {

at::Tensor to_device(const at::Tensor& host, at::Device device) {
  if (device.is_cpu()) {
    return host;
  }
  // LibTorch hands the pinned block out again only when the stream has passed the copy.
  return host.pin_memory().to(device, host.scalar_type(), /*non_blocking=*/true);
}

}  // namespace bertcram::nn
