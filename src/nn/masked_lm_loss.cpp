#include "bertcram/nn/masked_lm_loss.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>

#include "bertcram/nn/functional.h"
#include "bertcram/nn/fused.h"
#include "bertcram/nn/sizes.h"
#include "bertcram/util/error.h"
#include "forward_linear.h"
#include "fused_cuda.h"
#include "fused_linear.h"
#include "gradient_sum.h"
#include "kernels/cross_entropy_bf16.h"
#include "kernels/fp32.h"
#include "raw.h"
#include "summing_linear.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum class Draw { kNone, kSamples };

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

/// What errors, within -1 and 1 and most of them tiny, are kept multiplied by: fp16 has nothing below 6e-8.
double error_scale(at::ScalarType type) { return type == at::kHalf ? 1024.0 : 1.0; }

/// logits_to_errors without samples, in one go over the logits.
SampledLoss logits_to_errors_fused(const at::Tensor& logits, const at::Tensor& targets) {
  if (logits.is_cuda()) {
    return {.loss = gpu_cross_entropy(logits, targets, error_scale(logits.scalar_type())).sum(),
            .samples = {},
            .correct = {}};
  }
  const int64_t* const wanted = targets.const_data_ptr<int64_t>();
  const int64_t vocab = logits.size(1);
  if (const auto outside = std::find_if(wanted, wanted + targets.numel(),
                                        [vocab](int64_t target) { return target < 0 || target >= vocab; });
      outside != wanted + targets.numel()) {  // the kernels would write there
    throw ShapeError(cat("masked_lm_loss_sum: a target is ", *outside, ", expected one of ", vocab, " words"));
  }
  const at::Tensor losses = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat));
  at::parallel_for(0, logits.size(0), /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    if (logits.scalar_type() == at::kBFloat16) {
      kernels::cross_entropy(mutable_bf16(logits), vocab, wanted, begin, end, losses.mutable_data_ptr<float>());
    } else {
      kernels::fp32_kernels().cross_entropy(logits.mutable_data_ptr<float>(), vocab, wanted, begin, end,
                                            losses.mutable_data_ptr<float>());
    }
  });
  return {.loss = losses.sum(), .samples = {}, .correct = {}};
}

bool can_fuse(const at::Tensor& logits, Draw draw) {
  if (draw != Draw::kNone) {
    return false;
  }
  if (!logits.is_cpu()) {
    return can_fuse_on_gpu(logits);
  }
  return (logits.scalar_type() == at::kBFloat16 && has_bf16_kernels()) ||
         (logits.scalar_type() == at::kFloat && has_fp32_kernels());
}

/// Leaves softmax - one_hot(target) where the logits stand. @param draw  whether the samples are filled in
SampledLoss logits_to_errors(const at::Tensor& logits, const at::Tensor& targets, Draw draw) {
  const int64_t masked = logits.size(0);
  const int64_t chunk_numbers = logits.is_cpu() ? kLossChunkCpu : kLossChunkCuda;
  const int64_t chunk_rows = std::max<int64_t>(1, chunk_numbers / logits.size(1));
  SampledLoss sums = {.loss = at::zeros({}, logits.options().dtype(at::kFloat)),
                      .samples = draw == Draw::kSamples ? at::empty_like(targets) : at::Tensor(),
                      .correct = at::zeros({}, targets.options())};
  for (int64_t first = 0; first < masked; first += chunk_rows) {
    const int64_t rows = std::min(chunk_rows, masked - first);
    const at::Tensor chunk = logits.narrow(0, first, rows);                      // [rows, vocab]
    const at::Tensor wanted = targets.narrow(0, first, rows).unsqueeze(1);       // [rows, 1]
    at::Tensor scores = chunk.to(at::kFloat);                                    // the chunk itself if that is fp32
    const at::Tensor normaliser = at::logsumexp(scores, {1}, /*keepdim=*/true);  // [rows, 1]
    sums.loss += (normaliser - scores.gather(1, wanted)).sum();
    at::Tensor errors = scores.sub_(normaliser).exp_();  // softmax
    if (draw == Draw::kSamples) {
      sums.samples.narrow(0, first, rows).copy_(drawn_indices(errors));
      sums.correct += at::argmax(errors, 1, /*keepdim=*/true).eq(wanted).sum();
    }
    errors.scatter_add_(1, wanted, at::full_like(normaliser, -1.0));
    if (!errors.is_same(chunk)) {
      const double scale = error_scale(chunk.scalar_type());
      chunk.copy_(scale == 1.0 ? errors : errors.mul_(scale));
    }
  }
  return sums;
}

/// Backward is three products with what forward left in place of the logits.
struct MaskedLmLoss : torch::autograd::Function<MaskedLmLoss> {
  /// @return loss and, if asked for, samples and the number of right predictions
  static variable_list forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& embedding,
                               const at::Tensor& bias, const at::Tensor& targets, Draw draw) {
    const at::Tensor states = given.contiguous();  // the kernels read rows, here and in backward
    const at::Tensor logits = can_fuse_linear(states, embedding, bias)
                                  ? linear_product(states, embedding, bias)
                                  : forward_linear(states, embedding, bias);  // [masked, vocab]
    const SampledLoss sums = can_fuse(logits, draw) ? logits_to_errors_fused(logits, targets.contiguous())
                                                    : logits_to_errors(logits, targets, draw);
    context->save_for_backward({states, embedding, bias, logits});
    if (draw == Draw::kNone) {
      return {sums.loss};
    }
    context->mark_non_differentiable({sums.samples, sums.correct});
    return {sums.loss, sums.samples, sums.correct};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& states = saved[0];
    const at::Tensor& embedding = saved[1];
    const at::Tensor& bias = saved[2];
    const at::Tensor& kept = saved[3];  // [masked, vocab]
    const at::Tensor factor = gradients[0] / error_scale(kept.scalar_type());
    const auto needs = [&](size_t input) { return context->needs_input_grad(input); };
    variable_list results(5);  // of states, embedding and bias, as far as they are asked for
    if (needs(1) && can_fuse_linear(states, embedding, bias) && factor.item<float>() == 1.0F) {
      const AffineGradients sums = linear_weight_gradient(states, kept, embedding, needs(2) ? bias : at::Tensor());
      results[0] = needs(0) ? linear_input_gradient(kept, embedding) : at::Tensor();
      results[1] = sums.weight;
      results[2] = sums.bias;
    } else if (can_sum_gradients(states, embedding)) {  // the factor goes to the small sides of the products
      results[0] = needs(0) ? kept.mm(embedding).mul_(factor) : at::Tensor();
      if (needs(1)) {
        const GradientSum sum(embedding);
        add_product(sum.numbers, kept.t(), states * factor);
        results[1] = sum.returned;
      }
      if (needs(2)) {
        const GradientSum sum(bias);
        sum.numbers.add_(kept.sum(at::IntArrayRef{0}, /*keepdim=*/false, at::kFloat).mul_(factor));
        results[2] = sum.returned;
      }
    } else {
      const at::Tensor errors = kept * factor;  // a 0-dim factor keeps the dtype
      results[0] = needs(0) ? errors.mm(embedding) : at::Tensor();
      results[1] = needs(1) ? errors.t().mm(states) : at::Tensor();
      results[2] = needs(2) ? errors.sum(at::IntArrayRef{0}) : at::Tensor();
    }
    return results;
  }
};

/// A loss of nothing that still reaches every parameter.
at::Tensor empty_loss(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias) {
  return (states.sum() + embedding.sum() * 0 + bias.sum() * 0).to(at::kFloat);
}

}  // namespace

at::Tensor masked_lm_loss_sum(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias,
                              const at::Tensor& targets) {
  check_shapes(states, embedding, bias, targets);
  if (states.size(0) == 0) {
    return empty_loss(states, embedding, bias);
  }
  return MaskedLmLoss::apply(states, embedding, bias, targets, Draw::kNone)[0];
}

SampledLoss masked_lm_loss_and_samples(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias,
                                       const at::Tensor& targets) {
  check_shapes(states, embedding, bias, targets);
  if (states.size(0) == 0) {
    return {.loss = empty_loss(states, embedding, bias),
            .samples = at::empty_like(targets),
            .correct = at::zeros({}, targets.options())};
  }
  const variable_list results = MaskedLmLoss::apply(states, embedding, bias, targets, Draw::kSamples);
  return {.loss = results[0], .samples = results[1], .correct = results[2]};
}

at::Tensor drawn_indices(const at::Tensor& weights) {
  const at::Tensor arrivals = at::empty_like(weights).exponential_().clamp_min_(std::numeric_limits<float>::min());
  return at::argmax(arrivals.reciprocal_().mul_(weights), 1);
}

at::Tensor masked_lm_logits(const at::Tensor& states, const at::Tensor& embedding, const at::Tensor& bias) {
  // On a GPU `linear` may add up in fp16 (nn/fp16_accumulation.h), which no logits do.
  const at::Tensor logits = states.is_cpu() ? linear(states, embedding, bias) : at::addmm(bias, states, embedding.t());
  return logits.to(at::kFloat);  // [masked, vocab]
}

}  // namespace bertcram::nn
