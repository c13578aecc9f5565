#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

namespace bertcram::nn {

/// Where a backward function of our own sums the gradient of a variable in fp32: in the .grad of a leaf that has one in fp32,
/// else in a new tensor, which it returns.
struct GradientSum {
  explicit GradientSum(const at::Tensor& variable) {
    if (variable.is_leaf() && variable.grad().defined() && variable.grad().scalar_type() == at::kFloat &&
        variable.grad().is_contiguous()) {
      numbers = variable.grad();
      return;
    }
    numbers = at::zeros(variable.sizes(), variable.options().dtype(at::kFloat).requires_grad(false));
    returned = numbers;
  }
  at::Tensor numbers;
  at::Tensor returned;  ///< undefined if the variable has it already
};

}  // namespace bertcram::nn
