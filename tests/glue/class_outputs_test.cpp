#include "bertcram/glue/class_outputs.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bertcram::glue {
namespace {

TEST(ClassOutputs, TheBestClassIsTheFirstOfTheHighest) {
  EXPECT_EQ(best_class(std::vector<float>{-3, -1, -2}), 1);
  EXPECT_EQ(best_class(std::vector<float>{0, 2, 1, 2}), 1);
}

TEST(ClassOutputs, ProbabilitiesAreTheSoftmaxOfEachRow) {
  const auto probabilities = probabilities_of(std::vector<float>{0, 0, 1000, 0}, 2);
  EXPECT_EQ(probabilities, (std::vector<double>{0.5, 0.5, 1, 0}));
  const auto three = probabilities_of(std::vector<float>{1, 2, 3}, 3);
  EXPECT_NEAR(three[0], 1 / (1 + std::exp(1.0) + std::exp(2.0)), 1e-15);
}

}  // namespace
}  // namespace bertcram::glue
