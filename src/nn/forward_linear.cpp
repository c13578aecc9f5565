#include "forward_linear.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "bertcram/nn/fused.h"
#include "kernels/fp32.h"
#include "optional_tensor.h"

namespace bertcram::nn {
namespace {

bool can_multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  constexpr int64_t kLeastTokens = 32;  // for fewer, packing the weight may cost more than it saves
  const auto fits = [](const at::Tensor& each) { return each.is_cpu() && each.scalar_type() == at::kFloat; };
  return uses_fp32_products() && fits(x) && fits(weight) && weight.is_contiguous() &&
         (!bias.defined() || (fits(bias) && bias.is_contiguous())) && weight.size(0) >= kernels::kFp32Step &&
         weight.size(1) > 0 && weight.size(1) % kernels::kFp32Step == 0 && x.numel() >= kLeastTokens * weight.size(1);
}

/// Where a part begins, and the one before it ends, of [0, count) in `parts` about equal ones that begin at multiples of `step`.
int64_t begin_of(int64_t part, int64_t parts, int64_t count, int64_t step) {
  return std::min(count, (count + step - 1) / step * part / parts * step);
}

/// The first `columns` columns. Threads share columns, for each packs the weights of its own, and rows where columns are few.
void multiply(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias, int64_t columns,
              const at::Tensor& y) {
  constexpr int64_t kLeastColumns = 64;  // that are worth reading all of x
  constexpr int64_t kRowStep = 6;        // of the kernel's tiles
  const int64_t threads = at::get_num_threads();
  int64_t across = std::clamp<int64_t>(columns / kLeastColumns, 1, threads);
  while (threads % across != 0) {
    --across;
  }
  const int64_t down = threads / across;
  at::parallel_for(0, across * down, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t row = part / across;
      const int64_t column = part % across;
      kernels::fp32_kernels().linear_forward(rows.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                                             bias.defined() ? bias.const_data_ptr<float>() : nullptr, weight.size(0),
                                             weight.size(1),
                                             {.rows_begin = begin_of(row, down, rows.size(0), kRowStep),
                                              .rows_end = begin_of(row + 1, down, rows.size(0), kRowStep),
                                              .columns_begin = begin_of(column, across, columns, kernels::kFp32Step),
                                              .columns_end = begin_of(column + 1, across, columns, kernels::kFp32Step)},
                                             y.mutable_data_ptr<float>());
    }
  });
}

}  // namespace

at::Tensor forward_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!can_multiply(x, weight, bias)) {
    return at::linear(x, weight, optional(bias));
  }
  const int64_t out = weight.size(0);
  const at::Tensor rows = x.contiguous().view({-1, x.size(-1)});
  const at::Tensor y = at::empty({rows.size(0), out}, x.options().requires_grad(false));
  const int64_t columns = out / kernels::kFp32Step * kernels::kFp32Step;
  multiply(rows, weight, bias, columns, y);
  if (columns < out) {
    const auto rest = [&](const at::Tensor& whole, int64_t dimension) {
      return whole.narrow(dimension, columns, out - columns);
    };
    rest(y, 1).copy_(at::linear(rows, rest(weight, 0), bias.defined() ? std::optional(rest(bias, 0)) : std::nullopt));
  }
  if (x.dim() == 2) {
    return y;
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = out;
  return y.view(shape);
}

}  // namespace bertcram::nn
