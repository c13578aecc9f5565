// The product of a linear map in fp32, in blocks that stay in the caches. Included as vectors_body.h is, after it.

#include <algorithm>
#include <cstdint>

#include "buffer.h"
#include "product_block.h"

namespace bertcram::nn::kernels {
namespace {

// Packed weights of a block take half a MiB, one panel of them 16 KiB (64 KiB by AVX-512), the rows of x beside them 72 KiB.
constexpr int64_t kInnerBlock = 256;
constexpr int64_t kColumnBlock = 512;
constexpr int64_t kRowBlock = 72;

BC_TARGET void multiply_linear(const float* x, const float* weight, const float* bias, int64_t out, int64_t in,
                               const ProductBlock& block, float* y) {
  const Buffer<float> packed(std::min(kInnerBlock, in) *
                             std::min(kColumnBlock, block.columns_end - block.columns_begin));
  for (int64_t column = block.columns_begin; column < block.columns_end; column += kColumnBlock) {
    const int64_t columns = std::min(kColumnBlock, block.columns_end - column);
    for (int64_t k = 0; k < in; k += kInnerBlock) {
      const int64_t inner = std::min(kInnerBlock, in - k);
      pack_transposed(weight + column * in + k, in, columns, inner, columns, packed.get());
      for (int64_t row = block.rows_begin; row < block.rows_end; row += kRowBlock) {
        const int64_t rows = std::min(kRowBlock, block.rows_end - row);
        float* const to = y + row * out + column;
        if (k == 0 && bias != nullptr) {  // sums start with it
          for (int64_t i = 0; i < rows; ++i) {
            std::copy_n(bias + column, columns, to + i * out);
          }
        }
        product({x + row * in + k, in}, rows, packed.get(), inner, columns,
                {to, out, k == 0 && bias == nullptr ? Sums::kStart : Sums::kContinue});
      }
    }
  }
}

}  // namespace
}  // namespace bertcram::nn::kernels
