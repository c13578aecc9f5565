#include "fused_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "bertcram/nn/fused.h"
#include "bertcram/util/error.h"
#include "bertcram/util/shared_library.h"
#include "start_on_gpu.h"

namespace bertcram::nn {
namespace {

namespace cuda = kernels::cuda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GpuGelu : torch::autograd::Function<GpuGelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given) {
    const at::Tensor x = in_one_piece(given);
    at::Tensor y = at::empty_like(x);
    start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.gelu(storage_of(x), x.const_data_ptr(), x.numel(), y.mutable_data_ptr(), stream);
    });
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor y_gradient = in_one_piece(gradients[0]);
    const at::Tensor x_gradient = at::empty_like(x);
    start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.gelu_backward(storage_of(x), x.const_data_ptr(), y_gradient.const_data_ptr(), x.numel(),
                                   x_gradient.mutable_data_ptr(), stream);
    });
    return {x_gradient};
  }
};

struct GpuGeglu : torch::autograd::Function<GpuGeglu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given) {
    const at::Tensor x = in_one_piece(given);
    const int64_t ffn = x.size(-1) / 2;
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = ffn;
    at::Tensor y = at::empty(shape, x.options());
    start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.geglu(storage_of(x), x.const_data_ptr(), y.numel() / ffn, ffn, y.mutable_data_ptr(), stream);
    });
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor y_gradient = in_one_piece(gradients[0]);
    const at::Tensor x_gradient = at::empty_like(x);
    const int64_t ffn = x.size(-1) / 2;
    start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
      return kernels.geglu_backward(storage_of(x), x.const_data_ptr(), y_gradient.const_data_ptr(),
                                    y_gradient.numel() / ffn, ffn, x_gradient.mutable_data_ptr(), stream);
    });
    return {x_gradient};
  }
};

const util::FoundFunction& get_kernels() {
  // It finds CUDA's runtime in the process: LibTorch has loaded it.
  static const util::FoundFunction kFound = util::find_function(cuda::kLibrary, cuda::kGetKernels);
  return kFound;
}

}  // namespace

const cuda::Kernels* cuda_kernels() {
  static const cuda::Kernels* const kFound = []() -> const cuda::Kernels* {
    void* const function = get_kernels().address;
    return function == nullptr ? nullptr : reinterpret_cast<const cuda::Kernels* (*)()>(function)();
  }();
  return kFound;
}

void require_cuda_kernels() {
  if (uses_cuda_kernels() && cuda_kernels() == nullptr) {
    throw ResourceError(cat("BERTCRAM_CUDA_KERNELS=on, but the kernels cannot be loaded: ", get_kernels().problem,
                            "; without it LibTorch's operations are used"));
  }
}

bool can_fuse_on_gpu(const at::Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  return uses_cuda_kernels() && x.is_cuda() && x.numel() > 0 &&
         (type == at::kFloat || type == at::kHalf || type == at::kBFloat16) && cuda_kernels() != nullptr;
}

at::Tensor gpu_gelu(const at::Tensor& x) { return GpuGelu::apply(x); }

at::Tensor gpu_geglu(const at::Tensor& x) { return GpuGeglu::apply(x); }

at::Tensor gpu_turned(const at::Tensor& qkv, const at::Tensor& cosines, const at::Tensor& sines, int64_t heads) {
  const at::Tensor from = in_one_piece(qkv);
  at::Tensor to = at::empty_like(from);
  const cuda::QkvShape shape = {
      .tokens = qkv.size(0) * qkv.size(1), .seq = qkv.size(1), .heads = heads, .half = cosines.size(-1)};
  start_beside(from, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
    return kernels.rotate(storage_of(from), shape, from.const_data_ptr(), cosines.const_data_ptr<float>(),
                          sines.const_data_ptr<float>(), to.mutable_data_ptr(), stream);
  });
  return to;
}

at::Tensor gpu_cross_entropy(const at::Tensor& logits, const at::Tensor& targets, double error_scale) {
  const at::Tensor wanted = targets.contiguous();
  at::Tensor losses = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat));
  start_beside(logits, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
    return kernels.cross_entropy(storage_of(logits), logits.mutable_data_ptr(), logits.size(0), logits.size(1),
                                 wanted.const_data_ptr<int64_t>(), static_cast<float>(error_scale),
                                 losses.mutable_data_ptr<float>(), stream);
  });
  return losses;
}

void gpu_add_column_sums(const at::Tensor& given, const at::Tensor& sums) {
  const at::Tensor x = in_one_piece(given);
  const int64_t rows = x.size(0);
  const int64_t columns = x.size(1);
  constexpr int64_t kNumbersOfABlock = 256;
  constexpr int64_t kRowsOfABlock = 32;  // at least: some for every warp
  constexpr int64_t kBlocks = 1024;
  const int64_t blocks_of_a_row = (columns + kNumbersOfABlock - 1) / kNumbersOfABlock;
  const int64_t count = std::clamp<int64_t>(kBlocks / blocks_of_a_row, 1, (rows + kRowsOfABlock - 1) / kRowsOfABlock);
  const at::Tensor parts = at::empty({count, columns}, sums.options());
  start_beside(x, [&](const cuda::Kernels& kernels, cuda::Stream stream) {
    return kernels.column_sums(storage_of(x), x.const_data_ptr(), rows, columns,
                               {.numbers = parts.mutable_data_ptr<float>(), .count = count},
                               sums.mutable_data_ptr<float>(), stream);
  });
}

}  // namespace bertcram::nn
