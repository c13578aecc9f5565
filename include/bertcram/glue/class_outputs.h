#pragma once
// What the outputs of a classifier say of its classes.

#include <cstdint>
#include <span>
#include <vector>

namespace bertcram::glue {

/// The class with the highest output, of equal ones the first. REQUIRES: at least one.
int32_t best_class(std::span<const float> row);

/// Outputs of one example → probabilities, which sum to 1. REQUIRES: at least one.
void softmax(std::span<double> row);

/// Class probabilities of rows of outputs. @param outputs  [examples * classes]  @return likewise, each row sums to 1
std::vector<double> probabilities_of(std::span<const float> outputs, int64_t classes);

}  // namespace bertcram::glue
