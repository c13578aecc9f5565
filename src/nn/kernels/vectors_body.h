// Vectors of fp32 numbers and products of small matrices, for one instruction set. No include guard: a source file of each
// instruction set includes this once, after it has said
//
//   BC_TARGET  the attribute that lets a function use its instructions
//   BC_LANES   fp32 numbers in a register: 8 or 16
//
// The types are GCC's vector extensions, whose operators work lane by lane; a · b + c becomes one instruction.

#include <algorithm>
#include <cmath>
#include <cstdint>

#define BC_UNROLL _Pragma("GCC unroll 16")

namespace bertcram::nn::kernels {
namespace {

constexpr int64_t kLanes = BC_LANES;
using Floats [[gnu::vector_size(4 * BC_LANES)]] = float;
using Ints [[gnu::vector_size(4 * BC_LANES)]] = int32_t;
using Words [[gnu::vector_size(4 * BC_LANES)]] = uint32_t;

// A tile of 6 rows and as many registers of columns as leave room for one row of the right matrix and one number of the left.
constexpr int64_t kTileRows = 6;
constexpr int64_t kTileVectors = kLanes == 16 ? 4 : 2;  // of 32 or 16 registers
constexpr int64_t kPanelColumns = kTileVectors * kLanes;

constexpr int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

BC_TARGET inline Floats load(const float* from) {
  Floats values;
  __builtin_memcpy(&values, from, sizeof values);
  return values;
}

BC_TARGET inline void store(float* to, Floats values) { __builtin_memcpy(to, &values, sizeof values); }

/// value - 0 is the value; 0 + value would have to make 0 of -0.
BC_TARGET inline Floats all(float value) { return value - Floats{}; }

/// 0, 1, 2, …
BC_TARGET inline Ints lane_numbers() {
#if BC_LANES == 16
  return Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
  return Ints{0, 1, 2, 3, 4, 5, 6, 7};
#endif
}

/// The first `count` lanes of `values`, `other` in those behind.
BC_TARGET inline Floats first_of(int64_t count, Floats values, float other) {
  return lane_numbers() < static_cast<int32_t>(std::min(count, kLanes)) ? values : all(other);
}

/// What may be read is `count` numbers. @return zeros behind them
BC_TARGET inline Floats load_some(const float* from, int64_t count) {
  if (count >= kLanes) {
    return load(from);
  }
  float some[kLanes] = {};
  std::copy_n(from, count, some);
  return load(some);
}

BC_TARGET inline float sum_of(Floats values) {
  float numbers[kLanes];
  store(numbers, values);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) {
      numbers[i] += numbers[i + half];
    }
  }
  return numbers[0];
}

BC_TARGET inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }  // b where either is no number

BC_TARGET inline float largest_of(Floats values) {
  float numbers[kLanes];
  store(numbers, values);
  return *std::max_element(numbers, numbers + kLanes);
}

/// e^x to about 2 units in the last place for -87 <= x <= 88; 0 below, NaN of NaN.
BC_TARGET inline Floats exponential(Floats x) {
  const Floats in_range = larger(all(-87.0F), x);
  constexpr float kRounding = 0x1.8p23F;  // a number so large that those beside it are whole
  const Floats moved = in_range * 1.44269504F + kRounding;
  const Floats whole = moved - kRounding;
  // x - whole · ln 2, with ln 2 in two parts.
  Floats rest = in_range - whole * 0.693359375F;
  rest = rest + whole * 2.12194440e-4F;
  // Cephes' polynomial for e^rest on [-ln 2 / 2, ln 2 / 2].
  Floats sum = all(1.9875691500e-4F);
  sum = sum * rest + 1.3981999507e-3F;
  sum = sum * rest + 8.3334519073e-3F;
  sum = sum * rest + 4.1665795894e-2F;
  sum = sum * rest + 1.6666665459e-1F;
  sum = sum * rest + 5.0000001201e-1F;
  sum = sum * (rest * rest) + (rest + 1.0F);
  // 2^whole: its exponent's bits. The last bits of `moved` are `whole` as an integer.
  const Words exponent = (reinterpret_cast<Words>(moved) + 127U) << 23U;
  const Floats power = sum * reinterpret_cast<Floats>(exponent);
  return x < -87.0F ? Floats{} : power;
}

// ---- layouts ------------------------------------------------------------------------------------------------------------
//
// A packed right matrix [inner, columns]: panels of up to kPanelColumns columns, one behind the other, each [inner, its columns].

/// (a[0], b[0], a[1], b[1], …) of the lower or the upper half.
BC_TARGET inline Floats zip_lower(Floats a, Floats b) {
#if BC_LANES == 16
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#else
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#endif
}

BC_TARGET inline Floats zip_upper(Floats a, Floats b) {
#if BC_LANES == 16
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#else
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#endif
}

/// Transposes a square in registers: as many times as it takes to double 1 to kLanes, rows are zipped with those half the square
/// further down.
BC_TARGET inline void transpose_square(Floats (&rows)[kLanes]) {
  BC_UNROLL
  for (int64_t size = 1; size < kLanes; size *= 2) {
    Floats zipped[kLanes];
    BC_UNROLL
    for (int64_t i = 0; i < kLanes / 2; ++i) {
      zipped[2 * i] = zip_lower(rows[i], rows[i + kLanes / 2]);
      zipped[2 * i + 1] = zip_upper(rows[i], rows[i + kLanes / 2]);
    }
    BC_UNROLL
    for (int64_t i = 0; i < kLanes; ++i) {
      rows[i] = zipped[i];
    }
  }
}

/// Where row `row` of the panel of `column` stands in a packed matrix. @param column  a multiple of kLanes
constexpr int64_t packed_offset(int64_t row, int64_t column, int64_t inner, int64_t columns) {
  const int64_t panel = column / kPanelColumns * kPanelColumns;
  return panel * inner + row * std::min(kPanelColumns, columns - panel) + column - panel;
}

/// @param rows, columns  of `from`; columns a multiple of kLanes  @param inner  of the packed matrix; rows behind `rows` are left
BC_TARGET inline void pack_rows(const float* from, int64_t stride, int64_t rows, int64_t inner, int64_t columns,
                                float* to) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    for (int64_t row = 0; row < rows; ++row) {
      store(to + packed_offset(row, column, inner, columns), load(from + row * stride + column));
    }
  }
}

/// Packs the transpose of `rows` × inner numbers, with zeros for columns from `rows` to `columns`.
/// @param inner, columns  of the packed matrix, multiples of kLanes
BC_TARGET inline void pack_transposed(const float* from, int64_t stride, int64_t rows, int64_t inner, int64_t columns,
                                      float* to) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    for (int64_t k = 0; k < inner; k += kLanes) {
      Floats square[kLanes];
      BC_UNROLL
      for (int64_t i = 0; i < kLanes; ++i) {
        square[i] = column + i < rows ? load(from + (column + i) * stride + k) : Floats{};
      }
      transpose_square(square);
      BC_UNROLL
      for (int64_t i = 0; i < kLanes; ++i) {
        store(to + packed_offset(k + i, column, inner, columns), square[i]);
      }
    }
  }
}

// ---- products -----------------------------------------------------------------------------------------------------------

/// A matrix whose number (row, k) stands at row · row_stride + k · inner_stride: as it is, or transposed.
struct LeftMatrix {
  const float* numbers;
  int64_t row_stride;
  int64_t inner_stride = 1;
};

enum class Sums { kStart, kContinue };

struct Destination {
  float* numbers;
  int64_t stride;
  Sums sums = Sums::kStart;
};

/// kRows rows of left · one panel, all sums in registers. @param row, column  where it is in the whole product
template <int64_t kRows, int64_t kVectors>
BC_TARGET inline void tile(const LeftMatrix& left, const float* panel, int64_t inner, int64_t row, int64_t column,
                           const Destination& to) {
  Floats sum[kRows][kVectors];
  float* const out = to.numbers + row * to.stride + column;
  BC_UNROLL
  for (int64_t i = 0; i < kRows; ++i) {
    BC_UNROLL
    for (int64_t j = 0; j < kVectors; ++j) {
      sum[i][j] = to.sums == Sums::kContinue ? load(out + i * to.stride + j * kLanes) : Floats{};
    }
  }
  const float* const first = left.numbers + row * left.row_stride;
  for (int64_t k = 0; k < inner; ++k) {
    Floats right[kVectors];
    BC_UNROLL
    for (int64_t j = 0; j < kVectors; ++j) {
      right[j] = load(panel + (k * kVectors + j) * kLanes);
    }
    BC_UNROLL
    for (int64_t i = 0; i < kRows; ++i) {
      const Floats number = all(first[i * left.row_stride + k * left.inner_stride]);
      BC_UNROLL
      for (int64_t j = 0; j < kVectors; ++j) {
        sum[i][j] = number * right[j] + sum[i][j];
      }
    }
  }
  BC_UNROLL
  for (int64_t i = 0; i < kRows; ++i) {
    BC_UNROLL
    for (int64_t j = 0; j < kVectors; ++j) {
      store(out + i * to.stride + j * kLanes, sum[i][j]);
    }
  }
}

template <int64_t kVectors>
BC_TARGET inline void panel_product(const LeftMatrix& left, int64_t rows, const float* panel, int64_t inner,
                                    int64_t column, const Destination& to) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) {
    tile<kTileRows, kVectors>(left, panel, inner, row, column, to);
  }
  switch (rows - row) {
    case 1: tile<1, kVectors>(left, panel, inner, row, column, to); break;
    case 2: tile<2, kVectors>(left, panel, inner, row, column, to); break;
    case 3: tile<3, kVectors>(left, panel, inner, row, column, to); break;
    case 4: tile<4, kVectors>(left, panel, inner, row, column, to); break;
    case 5: tile<5, kVectors>(left, panel, inner, row, column, to); break;
    default: break;
  }
}

/// left [rows, inner] · packed right matrix [inner, columns]. @param columns  a multiple of kLanes
BC_TARGET inline void product(const LeftMatrix& left, int64_t rows, const float* right, int64_t inner, int64_t columns,
                              const Destination& to) {
  for (int64_t column = 0; column < columns; column += kPanelColumns) {
    const float* const panel = right + column * inner;
    const int64_t vectors = std::min(kPanelColumns, columns - column) / kLanes;
    if (vectors == kTileVectors) {
      panel_product<kTileVectors>(left, rows, panel, inner, column, to);
    } else if (vectors == 1) {
      panel_product<1>(left, rows, panel, inner, column, to);
    } else if constexpr (kTileVectors > 2) {
      vectors == 2 ? panel_product<2>(left, rows, panel, inner, column, to)
                   : panel_product<3>(left, rows, panel, inner, column, to);
    }
  }
}

}  // namespace
}  // namespace bertcram::nn::kernels
