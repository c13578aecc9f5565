#include "bertcram/nn/rotary.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/sub.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "fused_cuda.h"
#include "kernels/pointwise_bf16.h"
#include "raw.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kTokensPerThread = 64;  // what is worth a thread

/// @param cosines, sines  [seq, 1, 1, head_dim / 2], contiguous
at::Tensor turned(const at::Tensor& qkv, const at::Tensor& cosines, const at::Tensor& sines, int64_t heads) {
  const int64_t half = cosines.size(-1);
  if (can_fuse_on_gpu(qkv) && half % kGpuStep == 0) {
    return gpu_turned(qkv, cosines, sines, heads);
  }
  const std::vector<int64_t> split = {qkv.size(0), qkv.size(1), 3, heads, 2 * half};
  const at::Tensor from = qkv.contiguous().view(split);
  const at::Tensor to = at::empty_like(from);
  constexpr int64_t kHalfStep = 16;
  if (has_bf16_kernels() && from.is_cpu() && from.scalar_type() == at::kBFloat16 && half % kHalfStep == 0) {
    const kernels::RotaryShape shape = {.seq = qkv.size(1), .heads = heads, .head_dim = 2 * half};
    at::parallel_for(0, qkv.size(0) * qkv.size(1), kTokensPerThread, [&](int64_t begin, int64_t end) {
      kernels::rotate(shape, bf16(from), cosines.const_data_ptr<float>(), sines.const_data_ptr<float>(), begin, end,
                      mutable_bf16(to));
    });
    return to.view(qkv.sizes());
  }
  const auto half_of = [&](const at::Tensor& whole, int64_t which) {  // [batch, seq, query and key, heads, half]
    return whole.narrow(2, 0, 2).narrow(4, which * half, half);
  };
  const at::Tensor first = half_of(from, 0);
  const at::Tensor second = half_of(from, 1);
  at::Tensor turned_first = half_of(to, 0);
  at::Tensor turned_second = half_of(to, 1);
  // Products with the tables are fp32, rounded once at the end.
  at::sub_out(turned_first, first * cosines, second * sines);
  at::add_out(turned_second, second * cosines, first * sines);
  to.select(2, 2).copy_(from.select(2, 2));
  return to.view(qkv.sizes());
}

/// The derivative of a rotation is the rotation back.
struct Rotation : torch::autograd::Function<Rotation> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv, const at::Tensor& cosines,
                            const at::Tensor& sines, int64_t heads) {
    context->save_for_backward({cosines, sines});
    context->saved_data["heads"] = heads;
    return turned(qkv, cosines, sines, heads);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const int64_t heads = context->saved_data["heads"].toInt();
    return {turned(gradients[0], saved[0], -saved[1], heads), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

RotaryTables rotary_tables(const at::Tensor& positions, int64_t head_dim, double theta) {
  BC_CHECK(head_dim % 2 == 0, head_dim);
  const auto options = positions.options().dtype(at::kFloat);
  const at::Tensor exponents = at::arange(0, head_dim, 2, options) / head_dim;  // [head_dim / 2]
  const at::Tensor speeds = at::pow(theta, exponents).reciprocal();             // [head_dim / 2]
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(1) * speeds;     // [tokens, head_dim / 2]
  return {.cosines = at::cos(angles), .sines = at::sin(angles)};
}

at::Tensor rotate(const at::Tensor& qkv, const RotaryTables& tables, int64_t heads) {
  const int64_t half = tables.cosines.size(-1);
  if (qkv.dim() != 3 || qkv.size(2) != 6 * heads * half || tables.cosines.size(0) != qkv.size(1)) {
    throw ShapeError(cat("rotate: qkv has shape ", qkv.sizes(), ", expected [batch, ", tables.cosines.size(0),
                         ", 3 * heads * head_dim] with ", heads, " heads of ", 2 * half));
  }
  const auto spread = [&](const at::Tensor& table) { return table.view({table.size(0), 1, 1, half}); };
  return Rotation::apply(qkv, spread(tables.cosines), spread(tables.sines), heads);
}

}  // namespace bertcram::nn
