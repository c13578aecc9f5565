#include "fused_pointwise.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bertcram/nn/fused.h"
#include "kernels/pointwise_bf16.h"
#include "raw.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16'384;  // numbers that are worth a thread

/// body(begin, end) over `count` numbers; parts begin at whole registers.
template <class Body>
void for_numbers(int64_t count, const Body& body) {
  constexpr int64_t kLanes = 16;
  at::parallel_for(0, (count + kLanes - 1) / kLanes, kGrain / kLanes,
                   [&](int64_t begin, int64_t end) { body(begin * kLanes, std::min(end * kLanes, count)); });
}

struct Gelu : torch::autograd::Function<Gelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given) {
    const at::Tensor x = given.contiguous();
    const at::Tensor y = at::empty_like(x);
    for_numbers(x.numel(), [&](int64_t begin, int64_t end) { kernels::gelu(bf16(x), begin, end, mutable_bf16(y)); });
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor y_gradient = gradients[0].contiguous();
    const at::Tensor x_gradient = at::empty_like(x);
    for_numbers(x.numel(), [&](int64_t begin, int64_t end) {
      kernels::gelu_backward(bf16(x), bf16(y_gradient), begin, end, mutable_bf16(x_gradient));
    });
    return {x_gradient};
  }
};

struct Geglu : torch::autograd::Function<Geglu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given) {
    const at::Tensor x = given.contiguous();
    const int64_t ffn = x.size(-1) / 2;
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = ffn;
    const at::Tensor y = at::empty(shape, x.options());
    at::parallel_for(0, y.numel() / ffn, kGrain / ffn + 1,
                     [&](int64_t begin, int64_t end) { kernels::geglu(bf16(x), ffn, begin, end, mutable_bf16(y)); });
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor y_gradient = gradients[0].contiguous();
    const at::Tensor x_gradient = at::empty_like(x);
    const int64_t ffn = x.size(-1) / 2;
    at::parallel_for(0, y_gradient.numel() / ffn, kGrain / ffn + 1, [&](int64_t begin, int64_t end) {
      kernels::geglu_backward(bf16(x), bf16(y_gradient), ffn, begin, end, mutable_bf16(x_gradient));
    });
    return {x_gradient};
  }
};

}  // namespace

bool can_fuse_pointwise(const at::Tensor& x) {
  return has_bf16_kernels() && x.is_cpu() && x.scalar_type() == at::kBFloat16;
}

at::Tensor fused_gelu(const at::Tensor& x) { return Gelu::apply(x); }

at::Tensor fused_geglu(const at::Tensor& x) { return Geglu::apply(x); }

}  // namespace bertcram::nn
