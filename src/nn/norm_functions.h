#pragma once
// Layer normalisation, and the addition before it, as autograd functions over what computes them.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "bertcram/nn/functional.h"
#include "optional_tensor.h"

namespace bertcram::nn {

/// What is normalised. Undefined: branch and sum where nothing is added, bias where there is none.
struct NormInputs {
  at::Tensor x;  ///< [..., hidden], in one piece
  at::Tensor branch;
  at::Tensor sum;  ///< where x + branch belongs, which is then normalised
  at::Tensor weight;
  at::Tensor bias;
  double eps = 0;
};

/// What the backward pass needs of the forward pass.
struct NormState {
  at::Tensor x;  ///< what was normalised
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor means;            ///< [rows] fp32
  at::Tensor inverse_spreads;  ///< [rows] fp32
  int64_t hidden() const { return x.size(-1); }
  int64_t rows() const { return x.numel() / hidden(); }
};

struct NormGradients {
  at::Tensor x;
  at::Tensor weight;  ///< undefined where it was added to the leaf's .grad
  at::Tensor bias;
};

/// By an Engine, which has
///     at::Tensor in_one_piece(const at::Tensor&);
///     void normalise(const NormInputs&, const NormState&, const at::Tensor& y);  // fills sum, y, means and spreads
///     NormGradients gradients(const NormState&, const at::Tensor& of_y, const at::Tensor& of_sum);  // of_sum may be undefined
template <class Engine>
at::Tensor normalised_by(torch::autograd::AutogradContext* context, const NormInputs& inputs) {
  const auto options = inputs.x.options().dtype(at::kFloat).requires_grad(false);
  const int64_t rows = inputs.x.numel() / inputs.x.size(-1);
  const NormState state = {.x = inputs.branch.defined() ? inputs.sum : inputs.x,
                           .weight = inputs.weight,
                           .bias = inputs.bias,
                           .means = at::empty({rows}, options),
                           .inverse_spreads = at::empty({rows}, options)};
  at::Tensor y = at::empty_like(inputs.x);
  Engine::normalise(inputs, state, y);
  context->save_for_backward({state.x, state.weight, state.bias, state.means, state.inverse_spreads});
  return y;
}

template <class Engine>
NormGradients norm_gradients_by(torch::autograd::AutogradContext* context, const at::Tensor& of_y,
                                const at::Tensor& of_sum) {
  const auto saved = context->get_saved_variables();
  const NormState state = {
      .x = saved[0], .weight = saved[1], .bias = saved[2], .means = saved[3], .inverse_spreads = saved[4]};
  return Engine::gradients(state, Engine::in_one_piece(of_y), of_sum.defined() ? Engine::in_one_piece(of_sum) : of_sum);
}

template <class Engine>
struct LayerNormFunction : torch::autograd::Function<LayerNormFunction<Engine>> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, double eps) {
    return normalised_by<Engine>(context, {.x = Engine::in_one_piece(x),
                                           .branch = {},
                                           .sum = {},
                                           .weight = weight,
                                           .bias = bias.value_or(at::Tensor()),
                                           .eps = eps});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const NormGradients found = norm_gradients_by<Engine>(context, gradients[0], {});
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
    return {sum, normalised_by<Engine>(context, {.x = x,
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
    const NormGradients found = norm_gradients_by<Engine>(context, gradients[1], gradients[0]);
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
