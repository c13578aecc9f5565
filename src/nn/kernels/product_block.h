#pragma once

#include <cstdint>

namespace bertcram::nn::kernels {

/// A part of a product's rows and columns, [begin, end) of either.
struct ProductBlock {
  int64_t rows_begin = 0;
  int64_t rows_end = 0;
  int64_t columns_begin = 0;
  int64_t columns_end = 0;
};

}  // namespace bertcram::nn::kernels
