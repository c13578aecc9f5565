#include "summing_linear.h"

#include <ATen/Context.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <atomic>
#include <optional>

#include "bertcram/nn/fp16_accumulation.h"
#include "bertcram/nn/fused.h"
#include "forward_linear.h"
#include "fused_cuda.h"
#include "gradient_sum.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::atomic<bool>& flag() {
  static std::atomic<bool> is_on = false;
  return is_on;
}

/// cuBLAS may add up in fp16 while it exists, if that was asked for. LibTorch's switch is one for the process; forward and backward
/// take turns.
class Fp16Accumulation {
 public:
  Fp16Accumulation() {
    if (is_asked_) {
      at::globalContext().setAllowFP16AccumulationCuBLAS(true);
    }
  }
  ~Fp16Accumulation() {
    if (is_asked_) {
      at::globalContext().setAllowFP16AccumulationCuBLAS(false);
    }
  }
  Fp16Accumulation(const Fp16Accumulation&) = delete;
  Fp16Accumulation& operator=(const Fp16Accumulation&) = delete;

 private:
  bool is_asked_ = uses_fp16_accumulation();
};

struct SummingLinear : torch::autograd::Function<SummingLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x, weight, bias.value_or(at::Tensor())});
    const Fp16Accumulation sums;
    return forward_linear(x, weight, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor& bias = saved[2];
    const at::Tensor y_gradient = gradients[0].reshape({-1, weight.size(0)});  // [tokens, out]
    variable_list results(3);  // of x, weight and bias, as far as they are asked for
    if (context->needs_input_grad(1)) {
      const GradientSum sum(weight);
      add_product(sum.numbers, y_gradient.t(), x.reshape({-1, x.size(-1)}));
      results[1] = sum.returned;
    }
    if (bias.defined() && context->needs_input_grad(2)) {
      const GradientSum sum(bias);
      add_column_sums(sum.numbers, y_gradient);
      results[2] = sum.returned;
    }
    if (context->needs_input_grad(0)) {
      const Fp16Accumulation sums;
      results[0] = at::mm(y_gradient, weight).view(x.sizes());
    }
    return results;
  }
};

}  // namespace

bool uses_fp16_accumulation() { return flag(); }

void set_fp16_accumulation(bool is_on) { flag() = is_on; }

bool can_sum_gradients(const at::Tensor& x, const at::Tensor& weight) {
  const at::ScalarType type = x.scalar_type();
  if (type != weight.scalar_type()) {
    return false;
  }
  if (x.is_cpu()) {
    return type == at::kFloat && uses_fused();
  }
  return x.is_cuda() && (uses_cuda_kernels() || (uses_fp16_accumulation() && type == at::kHalf));
}

at::Tensor summing_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return SummingLinear::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

void add_product(const at::Tensor& sums, const at::Tensor& left, const at::Tensor& right) {
  at::Tensor to = sums;
  if (left.is_cuda() && left.scalar_type() != at::kFloat) {
    if (uses_cuda_kernels()) {
      at::addmm_out(to, to, left, right, at::kFloat);  // the product adds to what is there
    } else {
      to.add_(at::mm(left, right, at::kFloat));
    }
  } else {
    to.addmm_(left.to(at::kFloat), right.to(at::kFloat));
  }
}

void add_column_sums(const at::Tensor& sums, const at::Tensor& x) {
  if (can_fuse_on_gpu(x) && x.size(1) % kGpuStep == 0) {
    gpu_add_column_sums(x, sums);
  } else {
    sums.add_(x.sum(at::IntArrayRef{0}, /*keepdim=*/false, at::kFloat));
  }
}

}  // namespace bertcram::nn
