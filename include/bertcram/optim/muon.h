#pragma once
// Muon: the momentum of a matrix, made orthogonal (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

#include <ATen/core/Tensor.h>

namespace bertcram::optim {

/// Moves the singular values of each matrix near 1 by five Newton-Schulz iterations of fifth order: to 0.7 to 1.2 where they
/// are above some hundredth of the largest, less near 1 below.
/// @param matrices [count, rows, columns]  @param compute_type  that the iterations run in  @return likewise
at::Tensor orthogonalised(const at::Tensor& matrices, at::ScalarType compute_type);

struct MuonOptions {
  double learning_rate = 0;  ///< as AdamW's: an update has the root mean square 0.2 (Liu et al. 2025, §2.2)
  double momentum = 0.95;
  double weight_decay = 0;
};

/// One update with Nesterov momentum. All [count, rows, columns] fp32; weights and momenta are changed.
/// @param compute_type  that the iterations run in
void muon_update(at::Tensor weights, const at::Tensor& gradients, at::Tensor momenta, const MuonOptions& options,
                 at::ScalarType compute_type);

}  // namespace bertcram::optim
