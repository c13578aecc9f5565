#include "bertcram/glue/class_outputs.h"

#include <algorithm>
#include <cmath>

namespace bertcram::glue {

int32_t best_class(std::span<const float> row) {
  return static_cast<int32_t>(std::ranges::max_element(row) - row.begin());
}

void softmax(std::span<double> row) {
  const double largest = std::ranges::max(row);
  double sum = 0;
  for (double& value : row) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (double& value : row) {
    value /= sum;
  }
}

std::vector<double> probabilities_of(std::span<const float> outputs, int64_t classes) {
  std::vector<double> probabilities(outputs.begin(), outputs.end());
  const auto width = static_cast<size_t>(classes);
  for (size_t row = 0; row < probabilities.size(); row += width) {
    softmax(std::span(probabilities).subspan(row, width));
  }
  return probabilities;
}

}  // namespace bertcram::glue
