#pragma once

#include <cstdint>

namespace bertcram::nn::kernels {

struct AttentionShape {
  int64_t batch = 0;
  int64_t seq = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
};

/// Added to the scores: bias[batch · batch_stride + query · query_stride + key]; nothing where it is null.
struct ScoreBias {
  const float* values = nullptr;
  int64_t batch_stride = 0;
  int64_t query_stride = 0;
};

}  // namespace bertcram::nn::kernels
