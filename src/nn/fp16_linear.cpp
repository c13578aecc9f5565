#include "fp16_linear.h"

#include <ATen/Context.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <atomic>
#include <optional>

#include "bertcram/nn/fp16_accumulation.h"
#include "gradient_sum.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::atomic<bool>& flag() {
  static std::atomic<bool> is_on = false;
  return is_on;
}

/// cuBLAS may add up in fp16 while it exists. LibTorch's switch is one for the process; forward and backward take turns.
class Fp16Accumulation {
 public:
  Fp16Accumulation() { at::globalContext().setAllowFP16AccumulationCuBLAS(true); }
  ~Fp16Accumulation() { at::globalContext().setAllowFP16AccumulationCuBLAS(false); }
  Fp16Accumulation(const Fp16Accumulation&) = delete;
  Fp16Accumulation& operator=(const Fp16Accumulation&) = delete;
};

/// left · right in fp32, from factors in 16 bits.
at::Tensor fp32_product(const at::Tensor& left, const at::Tensor& right) {
  return left.is_cuda() ? at::mm(left, right, at::kFloat) : at::mm(left.to(at::kFloat), right.to(at::kFloat));
}

struct Fp16Linear : torch::autograd::Function<Fp16Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x, weight, bias.value_or(at::Tensor())});
    const Fp16Accumulation sums;
    return at::linear(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor& bias = saved[2];
    const at::Tensor y_gradient = gradients[0].reshape({-1, weight.size(0)});  // [tokens, out]
    const GradientSum weight_sum(weight);
    weight_sum.numbers.add_(fp32_product(y_gradient.t(), x.reshape({-1, x.size(-1)})));
    at::Tensor bias_gradient;
    if (bias.defined()) {
      const GradientSum bias_sum(bias);
      bias_sum.numbers.add_(y_gradient.sum(at::IntArrayRef{0}, /*keepdim=*/false, at::kFloat));
      bias_gradient = bias_sum.returned;
    }
    const Fp16Accumulation sums;
    return {at::mm(y_gradient, weight).view(x.sizes()), weight_sum.returned, bias_gradient};
  }
};

}  // namespace

bool uses_fp16_accumulation() { return flag(); }

void set_fp16_accumulation(bool is_on) { flag() = is_on; }

bool can_accumulate_in_fp16(const at::Tensor& x, const at::Tensor& weight) {
  return uses_fp16_accumulation() && x.is_cuda() && x.scalar_type() == at::kHalf && weight.scalar_type() == at::kHalf;
}

at::Tensor fp16_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Fp16Linear::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace bertcram::nn
