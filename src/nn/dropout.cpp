#include "bertcram/nn/dropout.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bertcram/util/error.h"
#include "kernels/dropout_draws.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16'384;  // entries that are worth a thread

// One copy per instruction set, chosen when the library is loaded: the loop is as fast as memory only in vectors.
template <class Number>
[[gnu::always_inline]] inline void drop(const Number* from, Number* to, int64_t begin, int64_t end,
                                        const Draws& draws) {
  for (int64_t i = begin; i < end; ++i) {
    const auto kept = static_cast<Number>(static_cast<float>(from[i]) * draws.scale);
    to[i] = draw(static_cast<uint32_t>(i), draws) >= draws.threshold ? kept : Number(0);
  }
}

[[gnu::target_clones("avx512f", "avx2", "default")]] void drop_range(const float* from, float* to, int64_t begin,
                                                                     int64_t end, const Draws& draws) {
  drop(from, to, begin, end, draws);
}
[[gnu::target_clones("avx512f", "avx2", "default")]] void drop_range(const at::BFloat16* from, at::BFloat16* to,
                                                                     int64_t begin, int64_t end, const Draws& draws) {
  drop(from, to, begin, end, draws);
}
void drop_range(const at::Half* from, at::Half* to, int64_t begin, int64_t end, const Draws& draws) {
  drop(from, to, begin, end, draws);
}
void drop_range(const double* from, double* to, int64_t begin, int64_t end, const Draws& draws) {
  drop(from, to, begin, end, draws);
}

at::Tensor dropped(const at::Tensor& x, const Draws& draws) {
  const at::Tensor from = x.contiguous();
  at::Tensor to = at::empty_like(from);
  const auto run = [&]<class Number>(const Number* in, Number* out) {
    at::parallel_for(0, from.numel(), kGrain,
                     [&](int64_t begin, int64_t end) { drop_range(in, out, begin, end, draws); });
  };
  switch (from.scalar_type()) {
    case at::kFloat: run(from.const_data_ptr<float>(), to.mutable_data_ptr<float>()); break;
    case at::kBFloat16: run(from.const_data_ptr<at::BFloat16>(), to.mutable_data_ptr<at::BFloat16>()); break;
    case at::kHalf: run(from.const_data_ptr<at::Half>(), to.mutable_data_ptr<at::Half>()); break;
    default:
      BC_CHECK(from.scalar_type() == at::kDouble, "a type without arithmetic");
      run(from.const_data_ptr<double>(), to.mutable_data_ptr<double>());
  }
  return to;
}

struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double probability, int64_t key) {
    context->saved_data["probability"] = probability;
    context->saved_data["key"] = key;
    return dropped(x, draws_of({probability, static_cast<uint64_t>(key)}));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Dropout dropout = {context->saved_data["probability"].toDouble(),
                             static_cast<uint64_t>(context->saved_data["key"].toInt())};
    return {dropped(gradients[0], draws_of(dropout)), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, const Dropout& dropout) {
  if (dropout.probability == 0.0) {
    return x;
  }
  BC_CHECK(dropout.probability > 0 && dropout.probability < 1, dropout.probability);
  if (!x.is_cpu()) {
    return at::dropout(x, dropout.probability, /*train=*/true);
  }
  return DropoutFunction::apply(x, dropout.probability, static_cast<int64_t>(dropout.key));
}

}  // namespace bertcram::nn
