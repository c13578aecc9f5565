#include "bertcram/nn/attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_safe_softmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "kernels/attention_bf16.h"
#include "kernels/dropout_draws.h"
#include "kernels/fp32.h"
#include "raw.h"

namespace bertcram::nn {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// What scaled_dot_product_attention does, with a dropout that is a function of its key. Arguments as below.
at::Tensor attend_with_dropout(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                               const at::Tensor& bias, const Dropout& dropout) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  const at::Tensor scores = at::matmul(query * scale, key.transpose(-2, -1));  // [batch, heads, seq, seq]
  // With a bias a query may look at no key: zeros then, as scaled_dot_product_attention has them.
  const at::Tensor weights = bias.defined() ? at::_safe_softmax(scores + bias, -1) : at::softmax(scores, -1);
  return at::matmul(nn::dropout(weights, dropout), value);  // [batch, heads, seq, head_dim]
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

kernels::AttentionShape shape_of(const at::Tensor& qkv, int64_t heads) {
  return {.batch = qkv.size(0), .seq = qkv.size(1), .heads = heads, .head_dim = qkv.size(2) / (3 * heads)};
}

/// @param bias  fp32, contiguous, [batch or 1, 1, seq or 1, seq], or undefined
kernels::ScoreBias view_of(const at::Tensor& bias) {
  if (!bias.defined()) {
    return {};
  }
  const auto step = [&](int64_t dimension) { return bias.size(dimension) == 1 ? 0 : bias.stride(dimension); };
  return {.values = bias.const_data_ptr<float>(), .batch_stride = step(0), .query_stride = step(2)};
}

/// Forward and backward of whole heads in the cache; the gradients of query, key and value are written where they belong in
/// that of qkv.
struct FusedAttention : torch::autograd::Function<FusedAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv,
                            const std::optional<at::Tensor>& given_bias, const AttentionOptions& options) {
    const int64_t heads = options.heads;
    const at::Tensor from = qkv.contiguous();
    const at::Tensor bias = given_bias ? given_bias->to(at::kFloat).contiguous() : at::Tensor();
    const kernels::AttentionShape shape = shape_of(from, heads);
    const at::Tensor out = at::empty({shape.batch, shape.seq, shape.heads * shape.head_dim}, from.options());
    const at::Tensor log_sums = at::empty({shape.batch, shape.heads, shape.seq}, from.options().dtype(at::kFloat));
    at::parallel_for(0, shape.batch * shape.heads, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      float* const sums = log_sums.mutable_data_ptr<float>();
      const Draws draws = draws_of(options.dropout);
      if (from.scalar_type() == at::kFloat) {
        kernels::fp32_kernels().attention_forward(shape, from.const_data_ptr<float>(), view_of(bias), draws, begin, end,
                                                  out.mutable_data_ptr<float>(), sums);
      } else {
        kernels::attention_forward(shape, bf16(from), view_of(bias), draws, begin, end, mutable_bf16(out), sums);
      }
    });
    context->save_for_backward({from, bias, out, log_sums});
    context->saved_data["heads"] = heads;
    context->saved_data["probability"] = options.dropout.probability;
    context->saved_data["key"] = static_cast<int64_t>(options.dropout.key);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& qkv = saved[0];
    const kernels::AttentionShape shape = shape_of(qkv, context->saved_data["heads"].toInt());
    const Draws draws = draws_of({.probability = context->saved_data["probability"].toDouble(),
                                  .key = static_cast<uint64_t>(context->saved_data["key"].toInt())});
    const at::Tensor out_gradient = gradients[0].contiguous();
    const at::Tensor qkv_gradient = at::empty_like(qkv);
    at::parallel_for(0, shape.batch * shape.heads, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      const auto* const log_sums = saved[3].const_data_ptr<float>();
      if (qkv.scalar_type() == at::kFloat) {
        kernels::fp32_kernels().attention_backward(
            shape, qkv.const_data_ptr<float>(), view_of(saved[1]), draws, saved[2].const_data_ptr<float>(), log_sums,
            out_gradient.const_data_ptr<float>(), begin, end, qkv_gradient.mutable_data_ptr<float>());
      } else {
        kernels::attention_backward(shape, bf16(qkv), view_of(saved[1]), draws, bf16(saved[2]), log_sums,
                                    bf16(out_gradient), begin, end, mutable_bf16(qkv_gradient));
      }
    });
    return {qkv_gradient, at::Tensor(), at::Tensor()};
  }
};

/// Query, key and value [batch, heads, seq, head_dim] of qkv [batch, seq, 3, heads, head_dim], as views. Backward writes one
/// gradient; autograd alone would fill three of them with zeros and add them up.
struct SplitHeads : torch::autograd::Function<SplitHeads> {
  static variable_list forward(AutogradContext* /*context*/, const at::Tensor& qkv) {
    const at::Tensor parts = qkv.permute({2, 0, 3, 1, 4});
    return {parts.select(0, 0), parts.select(0, 1), parts.select(0, 2)};
  }

  static variable_list backward(AutogradContext* /*context*/, const variable_list& gradients) {
    std::vector<at::Tensor> parts;  // [batch, seq, heads, head_dim] each
    for (const at::Tensor& each : gradients) {
      parts.push_back(each.transpose(1, 2));
    }
    return {at::stack(parts, 2)};
  }
};

bool can_fuse(const at::Tensor& qkv, const AttentionOptions& options) {
  const int64_t head_dim = qkv.size(2) / (3 * options.heads);
  if (!qkv.is_cpu()) {
    return false;
  }
  if (qkv.scalar_type() == at::kFloat) {
    return has_fp32_kernels() && head_dim % kernels::kFp32Step == 0;
  }
  constexpr int64_t kBf16Step = 32;
  return has_bf16_kernels() && qkv.scalar_type() == at::kBFloat16 && head_dim % kBf16Step == 0;
}

/// Sequences of one length. @param qkv [batch, seq, 3 * hidden]  @param bias broadcasts to [batch, heads, seq, seq]
at::Tensor attend(const at::Tensor& qkv, const at::Tensor& bias, const AttentionOptions& options) {
  if (can_fuse(qkv, options)) {
    return FusedAttention::apply(qkv, bias.defined() ? std::optional(bias) : std::nullopt, options);
  }
  const int64_t batch = qkv.size(0);
  const int64_t seq = qkv.size(1);
  const int64_t hidden = qkv.size(2) / 3;
  const auto split = SplitHeads::apply(qkv.view({batch, seq, 3, options.heads, hidden / options.heads}));
  const std::optional<at::Tensor> mask = bias.defined() ? std::optional(bias) : std::nullopt;
  const bool is_keyed = qkv.is_cpu() && options.dropout.probability > 0;
  const at::Tensor mixed =  // [batch, heads, seq, head_dim]
      is_keyed ? attend_with_dropout(split[0], split[1], split[2], bias, options.dropout)
               : at::scaled_dot_product_attention(split[0], split[1], split[2], mask, options.dropout.probability);
  return mixed.transpose(1, 2).reshape({batch, seq, hidden});
}

void check_shapes(const at::Tensor& qkv, const AttentionMask& mask, const AttentionOptions& options) {
  if (qkv.dim() != 3 || qkv.size(2) % (3 * options.heads) != 0) {
    throw ShapeError(cat("attention: qkv has shape ", qkv.sizes(), ", expected [batch, seq, 3 * heads * head_dim]"));
  }
  if (mask.bias.defined() && (!mask.bias.is_floating_point() || mask.bias.requires_grad())) {
    throw ShapeError(cat("attention: bias is of type ", mask.bias.scalar_type(),
                         mask.bias.requires_grad() ? " and requires a gradient" : "",
                         ", expected numbers that are added to the scores and need none"));
  }
  const bool is_variable = !mask.cu_seqlens.empty();
  if (is_variable && (qkv.size(0) != 1 || mask.cu_seqlens.front() != 0 || mask.cu_seqlens.back() != qkv.size(1))) {
    throw ShapeError(cat("attention: cu_seqlens goes from ", mask.cu_seqlens.front(), " to ", mask.cu_seqlens.back(),
                         ", expected 0 to seq of one row, and qkv has shape ", qkv.sizes()));
  }
  if (!mask.bias.defined() || is_variable) {
    return;
  }
  const at::IntArrayRef sizes = mask.bias.sizes();
  const auto fits = [](int64_t size, int64_t full) { return size == 1 || size == full; };
  if (sizes.size() != 4 || !fits(sizes[0], qkv.size(0)) || sizes[1] != 1 || !fits(sizes[2], qkv.size(1)) ||
      sizes[3] != qkv.size(1)) {
    throw ShapeError(
        cat("attention: bias has shape ", sizes, ", expected [batch or 1, 1, seq or 1, seq] for qkv of ", qkv.sizes()));
  }
}

/// The part of a bias that belongs to a sequence of `length` tokens.
at::Tensor bias_of(const at::Tensor& bias, int64_t length) {
  if (!bias.defined()) {
    return bias;
  }
  if (bias.dim() != 4 || bias.size(2) < length || bias.size(3) < length) {
    throw ShapeError(cat("attention: bias has shape ", bias.sizes(), ", expected at least [1, 1, ", length, ", ",
                         length, "] for a sequence of that length"));
  }
  return bias.narrow(2, 0, length).narrow(3, 0, length);
}

}  // namespace

at::Tensor attention(const at::Tensor& qkv, const AttentionMask& mask, const AttentionOptions& options) {
  check_shapes(qkv, mask, options);
  if (mask.cu_seqlens.empty()) {
    return attend(qkv, mask.bias, options);
  }
  const std::span<const int64_t> starts = mask.cu_seqlens;
  const auto length_of = [&](size_t i) { return starts[i + 1] - starts[i]; };
  std::vector<at::Tensor> parts;
  for (size_t first = 0, next = 0; first + 1 < starts.size(); first = next) {
    const int64_t length = length_of(first);
    while (next + 1 < starts.size() && length_of(next) == length) {
      ++next;
    }
    const at::Tensor group = qkv.narrow(1, starts[first], starts[next] - starts[first])
                                 .reshape({-1, length, qkv.size(2)});  // [sequences, length, 3 * hidden]
    const AttentionOptions own = {.heads = options.heads, .dropout = options.dropout.at(first)};
    parts.push_back(attend(group, bias_of(mask.bias, length), own).view({1, -1, qkv.size(2) / 3}));
  }
  return at::cat(parts, 1);  // [1, tokens, hidden]
}

at::Tensor window_bias(int64_t seq, int64_t reach, const at::TensorOptions& options) {
  const at::Tensor is_near = at::ones({seq, seq}, options.dtype(at::kBool)).tril_(reach).triu_(-reach);
  return at::zeros({seq, seq}, options).masked_fill_(is_near.logical_not_(), kNever).view({1, 1, seq, seq});
}

at::Tensor window_of_padded(const at::Tensor& window, const at::Tensor& key_bias) {
  at::Tensor both = window + key_bias;  // [batch, 1, seq, seq]
  both.diagonal(0, 2, 3).zero_();
  return both;
}

}  // namespace bertcram::nn
