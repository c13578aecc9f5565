#pragma once
// Large matrices in few directions.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bertcram::nn {

/// The strongest part of a matrix [rows, columns] that is known by its rows: matrix ≈ vectors · diag(values) · (…).
struct LeadingDirections {
  at::Tensor vectors;  ///< [rows, rank], orthonormal columns
  at::Tensor values;   ///< [rank], singular values, descending
};

/// Randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4) in fp32 on the matrix's device;
/// exact up to rounding where the singular values behind `rank` are small.
/// REQUIRES: 1 <= rank <= min(rows, columns)
LeadingDirections leading_directions(const at::Tensor& matrix, int64_t rank, uint64_t seed);

/// [rows, columns] with orthonormal rows, drawn uniformly. REQUIRES: rows <= columns
at::Tensor random_rotation(int64_t rows, int64_t columns, uint64_t seed);

}  // namespace bertcram::nn
