#pragma once
// What the CPU kernels for bf16 are made of: products of small matrices with fp32 sums, and the layouts that they want.
// Every function here may be called only where has_avx512_bf16() holds.
//
// The instruction VDPBF16PS multiplies pairs: sums[i] += a[2i] · b[2i] + a[2i+1] · b[2i+1]. So the left matrix is read as it
// stands, row by row, two neighbours at a time, and the right one is stored as pairs of rows:
//
//   packed right matrix [inner, columns]: panels of up to 64 columns, one behind the other; in a panel, for every two rows,
//   (b[2k][j], b[2k+1][j]) for j = 0, 1, ….
//
// `inner` is even and `columns` a multiple of 16; who packs fills up with zeros.

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "bf16.h"

// The rest of the project is built for any x86-64 processor.
#define BC_AVX512_BF16 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]]
// For loops whose counters index registers.
#define BC_UNROLL _Pragma("GCC unroll 16")

namespace bertcram::nn::kernels {

inline constexpr int64_t kLanes = 16;  // fp32 numbers, or pairs of bf16, in a register
inline constexpr int64_t kPanelColumns = 64;

constexpr int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

BC_AVX512_BF16 inline __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffffU : (1U << std::max<int64_t>(count, 0)) - 1);
}

// ---- numbers ------------------------------------------------------------------------------------------------------------

BC_AVX512_BF16 inline __m512 load_bf16(const Bf16* from) {
  const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16));
}

/// Rounded to nearest, ties to even.
BC_AVX512_BF16 inline void store_bf16(Bf16* to, __m512 values) {
  const __m256bh rounded = _mm512_cvtneps_pbh(values);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<const __m256i&>(rounded));
}

/// The last numbers of a row may be fewer than a register holds. @return `fill` for those that are not there
BC_AVX512_BF16 inline __m512 load_some(const Bf16* from, __mmask16 mask, float fill) {
  const __m256i raw = _mm256_maskz_loadu_epi16(mask, from);
  const __m512 values = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16));
  return _mm512_mask_mov_ps(_mm512_set1_ps(fill), mask, values);
}

BC_AVX512_BF16 inline void store_some(Bf16* to, __mmask16 mask, __m512 values) {
  const __m256bh rounded = _mm512_cvtneps_pbh(values);
  _mm256_mask_storeu_epi16(to, mask, reinterpret_cast<const __m256i&>(rounded));
}

/// e^x to about 2 units in the last place for -87 <= x <= 88; 0 below, NaN of NaN.
BC_AVX512_BF16 inline __m512 exp_ps(__m512 x) {
  const __m512 in_range = _mm512_max_ps(_mm512_set1_ps(-87.0F), x);  // x where that is no number
  const __m512 whole = _mm512_roundscale_ps(_mm512_mul_ps(in_range, _mm512_set1_ps(1.44269504F)),
                                            _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // x - whole · ln 2, with ln 2 in two parts.
  __m512 rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693359375F), in_range);
  rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(-2.12194440e-4F), rest);
  // Cephes' polynomial for e^rest on [-ln 2 / 2, ln 2 / 2].
  __m512 sum = _mm512_set1_ps(1.9875691500e-4F);
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.3981999507e-3F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(8.3334519073e-3F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(4.1665795894e-2F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.6666665459e-1F));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(5.0000001201e-1F));
  sum = _mm512_fmadd_ps(sum, _mm512_mul_ps(rest, rest), _mm512_add_ps(rest, _mm512_set1_ps(1.0F)));
  const __mmask16 is_normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0F), _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(is_normal, sum, whole);
}

// ---- layouts ------------------------------------------------------------------------------------------------------------

/// Transposes a square of 16 × 16 32-bit numbers in registers.
BC_AVX512_BF16 inline void transpose_lanes(__m512i (&rows)[16]) {
  __m512i a[16];
  BC_UNROLL
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  __m512i b[16];
  BC_UNROLL
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  BC_UNROLL
  for (int i = 0; i < 4; ++i) {
    a[i] = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88);
    a[i + 4] = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
    a[i + 8] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
    a[i + 12] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
  }
  BC_UNROLL
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0xdd);
    rows[i + 4] = _mm512_shuffle_i32x4(a[i + 4], a[i + 12], 0x88);
    rows[i + 12] = _mm512_shuffle_i32x4(a[i + 4], a[i + 12], 0xdd);
  }
}

/// Where pairs of rows `2 * pair` of column `column` stand in a packed matrix. @param column  a multiple of 16
constexpr int64_t packed_offset(int64_t pair, int64_t column, int64_t inner, int64_t columns) {
  const int64_t panel = column / kPanelColumns * kPanelColumns;
  const int64_t width = std::min(kPanelColumns, columns - panel);
  return panel * inner + (pair * width + column - panel) * 2;
}

/// Columns [begin, end) of a packed matrix.
struct Columns {
  int64_t begin;
  int64_t end;
};

/// Packs the transpose of `rows` × inner numbers: columns of the packed matrix are rows here. @param inner  a multiple of 32
BC_AVX512_BF16 inline void pack_transposed(const Bf16* from, int64_t stride, int64_t rows, int64_t inner,
                                           int64_t columns, Columns part, Bf16* to) {
  for (int64_t column = part.begin; column < part.end; column += kLanes) {
    for (int64_t pair = 0; pair < inner / 2; pair += kLanes) {
      __m512i square[16];
      BC_UNROLL
      for (int64_t i = 0; i < kLanes; ++i) {
        square[i] =
            column + i < rows ? _mm512_loadu_si512(from + (column + i) * stride + 2 * pair) : _mm512_setzero_si512();
      }
      transpose_lanes(square);
      BC_UNROLL
      for (int64_t i = 0; i < kLanes; ++i) {
        _mm512_storeu_si512(to + packed_offset(pair + i, column, inner, columns), square[i]);
      }
    }
  }
}

/// The pairs (a[j], b[j]) of 32 columns of two rows.
BC_AVX512_BF16 inline void interleave(__m512i a, __m512i b, __m512i& first, __m512i& second) {
  const __m512i low = _mm512_unpacklo_epi16(a, b);  // of each quarter
  const __m512i high = _mm512_unpackhi_epi16(a, b);
  const __m512i first_quarters = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const __m512i last_quarters = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  first = _mm512_permutex2var_epi64(low, first_quarters, high);
  second = _mm512_permutex2var_epi64(low, last_quarters, high);
}

/// Packs rows as they stand. @param columns  a multiple of 32  @param inner  even, at least `rows`
BC_AVX512_BF16 inline void pack_rows(const Bf16* from, int64_t stride, int64_t rows, int64_t inner, int64_t columns,
                                     Columns part, Bf16* to) {
  for (int64_t pair = 0; pair < inner / 2; ++pair) {
    for (int64_t column = part.begin; column < part.end; column += 2 * kLanes) {
      const Bf16* const at = from + 2 * pair * stride + column;
      const __m512i a = 2 * pair < rows ? _mm512_loadu_si512(at) : _mm512_setzero_si512();
      const __m512i b = 2 * pair + 1 < rows ? _mm512_loadu_si512(at + stride) : _mm512_setzero_si512();
      __m512i first;
      __m512i second;
      interleave(a, b, first, second);
      _mm512_storeu_si512(to + packed_offset(pair, column, inner, columns), first);
      _mm512_storeu_si512(to + packed_offset(pair, column + kLanes, inner, columns), second);
    }
  }
}

/// to[column][row] = from[row][column], with zeros for rows up to the next multiple of 32. @param columns  a multiple of 32
BC_AVX512_BF16 inline void transpose(const Bf16* from, int64_t stride, int64_t rows, int64_t columns, Bf16* to,
                                     int64_t to_stride) {
  for (int64_t column = 0; column < columns; column += 2 * kLanes) {
    for (int64_t row = 0; row < rows; row += 2 * kLanes) {
      __m512i first[16];
      __m512i second[16];
      BC_UNROLL
      for (int64_t i = 0; i < kLanes; ++i) {
        const int64_t upper = row + 2 * i;
        const Bf16* const at = from + upper * stride + column;
        const __m512i a = upper < rows ? _mm512_loadu_si512(at) : _mm512_setzero_si512();
        const __m512i b = upper + 1 < rows ? _mm512_loadu_si512(at + stride) : _mm512_setzero_si512();
        interleave(a, b, first[i], second[i]);
      }
      transpose_lanes(first);
      transpose_lanes(second);
      BC_UNROLL
      for (int64_t i = 0; i < kLanes; ++i) {
        _mm512_storeu_si512(to + (column + i) * to_stride + row, first[i]);
        _mm512_storeu_si512(to + (column + kLanes + i) * to_stride + row, second[i]);
      }
    }
  }
}

// ---- products -----------------------------------------------------------------------------------------------------------

enum class Sums { kStart, kContinue };

/// Where a product goes, and what is done to it on the way. A store is asked for the sums' start and gets what they become,
/// 16 columns of a row at a time.
struct FloatStore {
  float* out;
  int64_t stride;
  Sums sums = Sums::kStart;

  BC_AVX512_BF16 __m512 start(int64_t row, int64_t column) const {
    return sums == Sums::kContinue ? _mm512_loadu_ps(out + row * stride + column) : _mm512_setzero_ps();
  }
  BC_AVX512_BF16 void finish(int64_t row, int64_t column, __m512 sum) const {
    _mm512_storeu_ps(out + row * stride + column, sum);
  }
};

struct Bf16Store {
  Bf16* out;
  int64_t stride;
  const Bf16* bias = nullptr;  ///< of the columns, or none

  BC_AVX512_BF16 __m512 start(int64_t /*row*/, int64_t column) const {
    return bias == nullptr ? _mm512_setzero_ps() : load_bf16(bias + column);
  }
  BC_AVX512_BF16 void finish(int64_t row, int64_t column, __m512 sum) const {
    store_bf16(out + row * stride + column, sum);
  }
};

/// kRows × 16 · kVectors of left · one panel, all sums in registers. @param row, column  where it is in the whole product
template <int64_t kRows, int64_t kVectors, class Store>
BC_AVX512_BF16 inline void tile(const Bf16* left, int64_t left_stride, const Bf16* panel, int64_t inner,
                                int64_t row_begin, int64_t column, const Store& store) {
  __m512 sum[kRows][kVectors];
  BC_UNROLL
  for (int64_t row = 0; row < kRows; ++row) {
    BC_UNROLL
    for (int64_t vector = 0; vector < kVectors; ++vector) {
      sum[row][vector] = store.start(row_begin + row, column + vector * kLanes);
    }
  }
  const Bf16* const first = left + row_begin * left_stride;
  for (int64_t pair = 0; pair < inner / 2; ++pair) {
    __m512i right[kVectors];
    BC_UNROLL
    for (int64_t vector = 0; vector < kVectors; ++vector) {
      right[vector] = _mm512_loadu_si512(panel + (pair * kVectors + vector) * 2 * kLanes);
    }
    BC_UNROLL
    for (int64_t row = 0; row < kRows; ++row) {
      int32_t two;
      __builtin_memcpy(&two, first + row * left_stride + 2 * pair, sizeof two);
      const __m512i both = _mm512_set1_epi32(two);
      BC_UNROLL
      for (int64_t vector = 0; vector < kVectors; ++vector) {
        sum[row][vector] = _mm512_dpbf16_ps(sum[row][vector], reinterpret_cast<const __m512bh&>(both),
                                            reinterpret_cast<const __m512bh&>(right[vector]));
      }
    }
  }
  BC_UNROLL
  for (int64_t row = 0; row < kRows; ++row) {
    BC_UNROLL
    for (int64_t vector = 0; vector < kVectors; ++vector) {
      store.finish(row_begin + row, column + vector * kLanes, sum[row][vector]);
    }
  }
}

template <int64_t kVectors, class Store>
BC_AVX512_BF16 inline void panel_product(const Bf16* left, int64_t stride, int64_t rows, const Bf16* panel,
                                         int64_t inner, int64_t column, const Store& store) {
  constexpr int64_t kRows = 6;  // 6 × 4 sums, 4 of the right matrix and one of the left: 29 of 32 registers
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) {
    tile<kRows, kVectors>(left, stride, panel, inner, row, column, store);
  }
  switch (rows - row) {
    case 1: tile<1, kVectors>(left, stride, panel, inner, row, column, store); break;
    case 2: tile<2, kVectors>(left, stride, panel, inner, row, column, store); break;
    case 3: tile<3, kVectors>(left, stride, panel, inner, row, column, store); break;
    case 4: tile<4, kVectors>(left, stride, panel, inner, row, column, store); break;
    case 5: tile<5, kVectors>(left, stride, panel, inner, row, column, store); break;
    default: break;
  }
}

/// left [rows, inner] · packed right matrix [inner, columns].
template <class Store>
BC_AVX512_BF16 inline void product(const Bf16* left, int64_t stride, int64_t rows, const Bf16* right, int64_t inner,
                                   int64_t columns, const Store& store) {
  for (int64_t column = 0; column < columns; column += kPanelColumns) {
    const Bf16* const panel = right + column * inner;
    switch (std::min(kPanelColumns, columns - column) / kLanes) {
      case 1: panel_product<1>(left, stride, rows, panel, inner, column, store); break;
      case 2: panel_product<2>(left, stride, rows, panel, inner, column, store); break;
      case 3: panel_product<3>(left, stride, rows, panel, inner, column, store); break;
      default: panel_product<4>(left, stride, rows, panel, inner, column, store); break;
    }
  }
}

}  // namespace bertcram::nn::kernels
