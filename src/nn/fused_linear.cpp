#include "fused_linear.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "bertcram/nn/fused.h"
#include "gradient_sum.h"
#include "kernels/linear_bf16.h"
#include "packed_weight.h"
#include "raw.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// body(begin, end) for parts of [0, count) that begin at multiples of `step`, at most one per thread.
template <class Body>
void for_parts(int64_t count, int64_t step, const Body& body) {
  at::parallel_for(0, (count + step - 1) / step, /*grain_size=*/1,
                   [&](int64_t begin, int64_t end) { body(begin * step, std::min(end * step, count)); });
}

/// Rows that fit the tiles of the product.
constexpr int64_t kTokenStep = 6;

}  // namespace

at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t tokens = x.size(0);
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const at::Tensor packed = packed_weight(weight, Packing::kForProduct);
  const at::Tensor y = at::empty({tokens, out}, x.options().requires_grad(false));
  for_parts(tokens, kTokenStep, [&](int64_t begin, int64_t end) {
    kernels::linear_forward(bf16(x), bf16(packed), bias.defined() ? bf16(bias) : nullptr, out, in, begin, end,
                            mutable_bf16(y));
  });
  return y;
}

at::Tensor linear_input_gradient(const at::Tensor& y_gradient, const at::Tensor& weight) {
  const int64_t tokens = y_gradient.size(0);
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const at::Tensor packed = packed_weight(weight, Packing::kForInputGradient);
  const at::Tensor x_gradient = at::empty({tokens, in}, y_gradient.options());
  for_parts(tokens, kTokenStep, [&](int64_t begin, int64_t end) {
    kernels::linear_input_gradient(bf16(y_gradient), bf16(packed), out, in, begin, end, mutable_bf16(x_gradient));
  });
  return x_gradient;
}

AffineGradients linear_weight_gradient(const at::Tensor& x, const at::Tensor& y_gradient, const at::Tensor& weight,
                                       const at::Tensor& bias) {
  const int64_t tokens = x.size(0);
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const at::Tensor packed = at::empty({kernels::packed_input_numbers(tokens, in)}, x.options());
  for_parts(in, kernels::kPackColumns, [&](int64_t begin, int64_t end) {
    kernels::pack_input(bf16(x), tokens, in, begin, end, mutable_bf16(packed));
  });
  const GradientSum weight_sum(weight);
  const std::optional<GradientSum> bias_sum = bias.defined() ? std::optional<GradientSum>(bias) : std::nullopt;
  for_parts(out, kernels::kWidthStep, [&](int64_t begin, int64_t end) {
    kernels::linear_weight_gradient(bf16(y_gradient), bf16(packed), tokens, out, in, begin, end,
                                    weight_sum.numbers.data_ptr<float>(),
                                    bias_sum ? bias_sum->numbers.data_ptr<float>() : nullptr);
  });
  return {.weight = weight_sum.returned, .bias = bias_sum ? bias_sum->returned : at::Tensor()};
}

namespace {

struct FusedLinear : torch::autograd::Function<FusedLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& given_bias) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::Tensor rows = x.contiguous().view({-1, x.size(-1)});
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    context->save_for_backward({x, weight, bias});
    return linear_product(rows, weight, bias).view(shape);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor y_gradient = gradients[0].contiguous().view({-1, weight.size(0)});
    const at::Tensor x_gradient = linear_input_gradient(y_gradient, weight).view(x.sizes());
    const AffineGradients sums =
        linear_weight_gradient(x.contiguous().view({-1, x.size(-1)}), y_gradient, weight, saved[2]);
    return {x_gradient, sums.weight, sums.bias};
  }
};

}  // namespace

bool can_fuse_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  constexpr int64_t kLeastTokens = 32;  // for fewer, packing the weight costs more than it saves
  const auto fits = [](const at::Tensor& each) { return each.is_cpu() && each.scalar_type() == at::kBFloat16; };
  return uses_bf16_products() && fits(x) && fits(weight) && weight.is_contiguous() &&
         (!bias.defined() || bias.is_contiguous()) && weight.size(0) % kernels::kWidthStep == 0 &&
         weight.size(1) % kernels::kWidthStep == 0 && x.numel() / weight.size(1) >= kLeastTokens;
}

at::Tensor fused_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return FusedLinear::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace bertcram::nn
