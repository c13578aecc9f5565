#pragma once

#include <ATen/core/Tensor.h>

namespace bertcram::nn {

/// Summed masked-language-model loss over the masked positions of one packed batch.
///
/// loss = -Σ_i log_softmax(states_i · embeddingᵀ + bias)[targets_i]. A sum, not a mean: the caller divides by the masked
/// count of the whole batch, so that gradient accumulation weighs every token alike. The gradient with respect to the
/// logits is formed in the forward pass in place of them: one [masked, vocab] buffer in the compute type is kept for
/// backward. Softmax and sum in fp32, for a few rows at a time: fp32 logits of a whole bf16 batch never exist.
/// Source: Devlin et al. 2019, §3.1, Task 1.
///
/// @param states     [masked, hidden]  fp32, bf16 or fp16; rows already gathered at the masked positions
/// @param embedding  [vocab, hidden]   dtype and device of states; tied to the input embedding
/// @param bias       [vocab]           dtype and device of states
/// @param targets    [masked]          int64 in [0, vocab)
/// @return           []                fp32, nats; 0 when masked = 0; differentiable in states, embedding, bias
/// @throws ShapeError if a shape or dtype above is violated, or on a CPU with own kernels a target is no row of the embedding
/// Pinned by: tests/nn/masked_lm_loss_test.cpp
at::Tensor masked_lm_loss_sum(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias,
                              const at::Tensor& targets);

struct SampledLoss {
  at::Tensor loss;     ///< as of masked_lm_loss_sum
  at::Tensor samples;  ///< [masked] int64: a token drawn from each prediction; no gradient
  at::Tensor correct;  ///< [] int64: how many targets are the best prediction; no gradient
};

/// The same loss within rounding, and what a generator puts in place of the masked tokens (Clark et al. 2020, §3.1), for which the
/// softmax is at hand. Draws from LibTorch's generator of the device.
SampledLoss masked_lm_loss_and_samples(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias,
                                       const at::Tensor& targets);

/// One index per row with the row's probabilities, which need not add up to one; by exponential races.
/// @param weights [rows, vocab] fp32, not negative  @return [rows] int64
at::Tensor drawn_indices(const at::Tensor& weights);

/// The logits behind it, for evaluation and prediction. @return [masked, vocab] fp32
at::Tensor masked_lm_logits(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias);

}  // namespace bertcram::nn
