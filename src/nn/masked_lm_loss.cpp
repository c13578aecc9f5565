#include "bertcram/nn/masked_lm_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/logsumexp.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bertcram/util/error.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void check_shapes(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias,
                  const at::Tensor& targets) {
  const bool fits = states.dim() == 2 && embedding.dim() == 2 && states.size(1) == embedding.size(1) &&
                    bias.dim() == 1 && bias.size(0) == embedding.size(0) && targets.dim() == 1 &&
                    targets.size(0) == states.size(0);
  if (!fits || states.scalar_type() != embedding.scalar_type() || states.scalar_type() != bias.scalar_type() ||
      targets.scalar_type() != at::kLong) {
    throw ShapeError(cat("masked_lm_loss_sum: states ", states.sizes(), " ", states.scalar_type(), ", embedding ",
                         embedding.sizes(), " ", embedding.scalar_type(), ", bias ", bias.sizes(), " ",
                         bias.scalar_type(), ", targets ", targets.sizes(), " ", targets.scalar_type(),
                         "; expected [masked, hidden], [vocab, hidden], [vocab] of one dtype and [masked] int64"));
  }
}

/// Forward leaves softmax - one_hot(target) where the logits stood; backward is three products with it.
struct MaskedLmLoss : torch::autograd::Function<MaskedLmLoss> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& states, const at::Tensor& embedding,
                            const at::Tensor& bias, const at::Tensor& targets) {
    at::Tensor logits = at::addmm(bias, states, embedding.t());                  // [masked, vocab]
    at::Tensor scores = logits.to(at::kFloat);                                   // [masked, vocab]
    const at::Tensor normaliser = at::logsumexp(scores, {1}, /*keepdim=*/true);  // [masked, 1]
    const at::Tensor rows = targets.unsqueeze(1);                                // [masked, 1]
    const at::Tensor loss = (normaliser - scores.gather(1, rows)).sum();
    at::Tensor errors = scores.sub_(normaliser).exp_();  // softmax
    errors.scatter_add_(1, rows, at::full_like(normaliser, -1.0));
    logits.copy_(errors);  // back to the compute type; in fp32 the two are one tensor
    context->save_for_backward({states, embedding, logits});
    return loss;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& states = saved[0];
    const at::Tensor& embedding = saved[1];
    const at::Tensor errors = saved[2] * gradients[0];  // [masked, vocab]; a 0-dim factor keeps the dtype
    return {errors.mm(embedding), errors.t().mm(states), errors.sum(at::IntArrayRef{0}), at::Tensor()};
  }
};

}  // namespace

at::Tensor masked_lm_loss_sum(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias,
                              const at::Tensor& targets) {
  check_shapes(states, embedding, bias, targets);
  if (states.size(0) == 0) {
    return (states.sum() + embedding.sum() * 0 + bias.sum() * 0).to(at::kFloat);
  }
  return MaskedLmLoss::apply(states, embedding, bias, targets);
}

at::Tensor masked_lm_logits(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias) {
  return at::addmm(bias, states, embedding.t()).to(at::kFloat);  // [masked, vocab]
}

}  // namespace bertcram::nn
