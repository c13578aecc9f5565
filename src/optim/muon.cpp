#include "bertcram/optim/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <cmath>

#include "bertcram/config/train_config.h"

namespace bertcram::optim {

at::Tensor orthogonalised(const at::Tensor& matrices, at::ScalarType compute_type) {
  constexpr double kLinear = 3.4445;  // of x -> ax + bx^3 + cx^5, which has its fixed point near 1
  constexpr double kCubic = -4.7750;
  constexpr double kQuintic = 2.0315;
  constexpr double kSmallest = 1e-7;  // a matrix of zeros stays one
  const bool is_tall = matrices.size(1) > matrices.size(2);
  at::Tensor x = is_tall ? matrices.transpose(1, 2) : matrices;
  x = x / (at::linalg_vector_norm(x, 2, at::IntArrayRef{1, 2}, /*keepdim=*/true) + kSmallest);
  x = x.to(compute_type);  // of numbers about 1: gradients themselves may be too small for fp16
  for (int64_t i = 0; i < config::kMuonIterations; ++i) {
    const at::Tensor gram = at::bmm(x, x.transpose(1, 2));                            // [count, short, short]
    const at::Tensor mix = at::baddbmm(gram, gram, gram, /*beta=*/kCubic, kQuintic);  // b G + c G^2
    x = at::baddbmm(x, mix, x, /*beta=*/kLinear);                                     // a X + (b G + c G^2) X
  }
  return (is_tall ? x.transpose(1, 2) : x).to(matrices.scalar_type());
}

void muon_update(at::Tensor weights, const at::Tensor& gradients, at::Tensor momenta, const MuonOptions& options,
                 at::ScalarType compute_type) {
  constexpr double kRootMeanSquare = 0.2;
  momenta.mul_(options.momentum).add_(gradients);
  const at::Tensor ahead = gradients.add(momenta, options.momentum);
  const at::Tensor direction = orthogonalised(ahead, compute_type);
  // An orthogonal [rows, columns] matrix has the root mean square 1 / sqrt(max(rows, columns)).
  const auto longest = static_cast<double>(std::max(weights.size(1), weights.size(2)));
  weights.mul_(1.0 - options.learning_rate * options.weight_decay);
  weights.sub_(direction, options.learning_rate * kRootMeanSquare * std::sqrt(longest));
}

}  // namespace bertcram::optim
