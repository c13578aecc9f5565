#include "bertcram/nn/functional.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "bertcram/util/error.h"

namespace bertcram::nn {
namespace {

void require(bool holds, const char* function, const char* argument, const at::Tensor& got, const char* expected) {
  if (!holds) {
    throw ShapeError(cat(function, ": ", argument, " has shape ", got.sizes(), ", expected ", expected));
  }
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  require(weight.dim() == 2 && x.dim() >= 2 && x.size(-1) == weight.size(1), "linear", "weight", weight,
          "[out, in] with in = the last dimension of x");
  require(bias.dim() == 1 && bias.size(0) == weight.size(0), "linear", "bias", bias, "[out]");
  return at::linear(x, weight, bias);  // [..., out]
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  require(x.dim() >= 1 && weight.dim() == 1 && weight.size(0) == x.size(-1), "layer_norm", "weight", weight,
          "[hidden]");
  require(bias.sizes() == weight.sizes(), "layer_norm", "bias", bias, "[hidden]");
  return at::layer_norm(x, weight.sizes(), weight, bias, eps);
}

at::Tensor gelu(const at::Tensor& x) { return at::gelu(x, "none"); }

at::Tensor attention(const at::Tensor& qkv, const at::Tensor& key_bias, const AttentionOptions& options) {
  require(qkv.dim() == 3 && qkv.size(2) % (3 * options.heads) == 0, "attention", "qkv", qkv,
          "[batch, seq, 3 * heads * head_dim]");
  const int64_t batch = qkv.size(0);
  const int64_t seq = qkv.size(1);
  const int64_t hidden = qkv.size(2) / 3;
  require(!key_bias.defined() || key_bias.sizes() == at::IntArrayRef{batch, 1, 1, seq}, "attention", "key_bias",
          key_bias, "[batch, 1, 1, seq]");
  const at::Tensor split = qkv.view({batch, seq, 3, options.heads, hidden / options.heads})
                               .permute({2, 0, 3, 1, 4});  // [3, batch, heads, seq, head_dim]
  const std::optional<at::Tensor> mask = key_bias.defined() ? std::optional(key_bias) : std::nullopt;
  const at::Tensor mixed =
      at::scaled_dot_product_attention(split[0], split[1], split[2], mask, options.dropout);  // [b, heads, seq, dim]
  return mixed.transpose(1, 2).reshape({batch, seq, hidden});
}

at::Tensor dropout(const at::Tensor& x, double probability) {
  return probability > 0.0 ? at::dropout(x, probability, /*train=*/true) : x;
}

}  // namespace bertcram::nn
