#include <ATen/Parallel.h>
#include <ATen/ops/embedding.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bertcram/nn/functional.h"
#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "gradient_sum.h"

namespace bertcram::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16'384;  // numbers that are worth a thread
constexpr int64_t kLine = 16;       // fp32 numbers in a cache line

/// Columns [begin, end) of table[ids[i]] += rows[i], one after the other: threads share columns, so the order of the sums
/// is that of the tokens, whatever their number.
void add_rows(const float* rows, const int64_t* ids, int64_t count, int64_t hidden, int64_t begin, int64_t end,
              float* table) {
  for (int64_t i = 0; i < count; ++i) {
    float* const to = table + ids[i] * hidden;
    const float* const from = rows + i * hidden;
    for (int64_t column = begin; column < end; ++column) {
      to[column] += from[column];
    }
  }
}

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& table, const at::Tensor& ids) {
    context->save_for_backward({table, ids});
    return at::embedding(table, ids);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& table = saved[0];
    const at::Tensor ids = saved[1].to(at::kLong).contiguous();
    const at::Tensor rows = gradients[0].contiguous();
    const GradientSum sum(table);
    const int64_t hidden = table.size(1);
    const int64_t grain = std::max<int64_t>(1, kGrain / (std::max<int64_t>(1, ids.numel()) * kLine));
    at::parallel_for(0, (hidden + kLine - 1) / kLine, grain, [&](int64_t begin, int64_t end) {
      add_rows(rows.const_data_ptr<float>(), ids.const_data_ptr<int64_t>(), ids.numel(), hidden, begin * kLine,
               std::min(end * kLine, hidden), sum.numbers.mutable_data_ptr<float>());
    });
    return {sum.returned, at::Tensor()};
  }
};

}  // namespace

at::Tensor embedding(const at::Tensor& table, const at::Tensor& ids) {
  if (table.dim() != 2) {
    throw ShapeError(cat("embedding: table has shape ", table.sizes(), ", expected [count, hidden]"));
  }
  if (uses_fused() && table.is_cpu() && table.scalar_type() == at::kFloat) {
    return Embedding::apply(table, ids);
  }
  return at::embedding(table, ids);
}

}  // namespace bertcram::nn
