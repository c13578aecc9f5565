#pragma once
// Layer normalisation, and the addition before it, as autograd functions over what computes them.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "bertcram/nn/functional.h"
#include "optional_tensor.h"

namespace bertcram::nn {

/// What an engine computes of. Undefined: branch and sum where nothing is added, bias where there is none.
struct NormInputs {
  at::Tensor x;  ///< [..., hidden], in one piece
  at::Tensor branch;
  at::Tensor sum;  ///< where x + branch belongs, which is then normalised
  at::Tensor weight;
  at::Tensor bias;
  double eps = 0;
};

struct NormGradients {
  at::Tensor x;
  at::Tensor weight;  ///< undefined where it was added to the leaf's .grad
  at::Tensor bias;
};

/// An Engine has
///     at::Tensor in_one_piece(const at::Tensor&);
///     at::Tensor normalised(AutogradContext*, const NormInputs&);  // saves for `gradients` what it needs
///     NormGradients gradients(AutogradContext*, const at::Tensor& of_normed, const at::Tensor& of_sum);  // of_sum may be undefined
template <class Engine>
struct LayerNormFunction : torch::autograd::Function<LayerNormFunction<Engine>> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, double eps) {
    return Engine::normalised(context, {.x = Engine::in_one_piece(x),
                                        .branch = {},
                                        .sum = {},
                                        .weight = weight,
                                        .bias = bias.value_or(at::Tensor()),
                                        .eps = eps});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const NormGradients found = Engine::gradients(context, gradients[0], {});
    return {found.x, found.weight, found.bias, at::Tensor()};
  }
};

template <class Engine>
struct AddNormFunction : torch::autograd::Function<AddNormFunction<Engine>> {
  /// @return sum and normed
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& given_x,
                                                const at::Tensor& branch, const at::Tensor& weight,
                                                const std::optional<at::Tensor>& bias, double eps) {
    const at::Tensor x = Engine::in_one_piece(given_x);
    const at::Tensor sum = at::empty_like(x);
    context->set_materialize_grads(false);
    return {sum, Engine::normalised(context, {.x = x,
                                              .branch = Engine::in_one_piece(branch),
                                              .sum = sum,
                                              .weight = weight,
                                              .bias = bias.value_or(at::Tensor()),
                                              .eps = eps})};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    if (!gradients[1].defined()) {
      return {gradients[0], gradients[0], at::Tensor(), at::Tensor(), at::Tensor()};
    }
    const NormGradients found = Engine::gradients(context, gradients[1], gradients[0]);
    return {found.x, found.x, found.weight, found.bias, at::Tensor()};
  }
};

template <class Engine>
at::Tensor layer_norm_by(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  return LayerNormFunction<Engine>::apply(x, weight, optional(bias), eps);
}

template <class Engine>
NormedSum add_norm_by(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& weight, const at::Tensor& bias,
                      double eps) {
  const torch::autograd::variable_list both = AddNormFunction<Engine>::apply(x, branch, weight, optional(bias), eps);
  return {.sum = both[0], .normed = both[1]};
}

}  // namespace bertcram::nn
