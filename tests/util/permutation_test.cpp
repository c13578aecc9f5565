// A permutation visits everything once, depends on its key, and never changes: data order is built on it.

#include "bertcram/util/permutation.h"

#include <gtest/gtest.h>

#include <vector>

#include "bertcram/util/error.h"
#include "bertcram/util/random.h"
#include "util/test_support.h"

namespace bertcram::util {
namespace {

std::vector<uint64_t> order(uint64_t size, uint64_t key) {
  const Permutation permutation(size, key);
  std::vector<uint64_t> values;
  for (uint64_t index = 0; index < size; ++index) {
    values.push_back(permutation(index));
  }
  return values;
}

void expect_bijection(uint64_t size, uint64_t key) {
  std::vector<bool> seen(size);
  for (const uint64_t value : order(size, key)) {
    ASSERT_LT(value, size) << "size " << size << " key " << key;
    ASSERT_FALSE(seen[value]) << value << " twice, size " << size << " key " << key;
    seen[value] = true;
  }
}

TEST(PermutationProperty, IsABijectionOfEverySizeUpTo300) {
  for (uint64_t size = 1; size <= 300; ++size) {
    expect_bijection(size, size * 7919);
  }
}

TEST(PermutationProperty, IsABijectionOfRandomSizesAndKeys) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  RandomStream random(seed);
  for (int round = 0; round < 60; ++round) {
    const uint64_t size = 1 + random.below(5000);
    expect_bijection(size, random.next());
  }
}

TEST(PermutationProperty, IsABijectionAroundPowersOfTwo) {
  for (const uint64_t power : {256U, 1024U, 4096U, 65536U}) {
    for (const uint64_t size : {power - 1, power, power + 1}) {
      expect_bijection(size, 3);
    }
  }
}

TEST(PermutationProperty, StaysBelowHugeSizes) {
  const uint64_t size = (uint64_t{1} << 40) + 12345;
  const Permutation permutation(size, 99);
  for (uint64_t index = size - 1000; index < size; ++index) {
    EXPECT_LT(permutation(index), size);
  }
}

TEST(Permutation, DiffersByKey) {
  EXPECT_NE(order(1000, 1), order(1000, 2));
  EXPECT_EQ(order(1000, 1), order(1000, 1));
}

TEST(Permutation, MovesNearlyEveryElement) {
  const auto values = order(10'000, 5);
  int64_t fixed = 0;
  for (uint64_t index = 0; index < values.size(); ++index) {
    fixed += values[index] == index ? 1 : 0;
  }
  EXPECT_LT(fixed, 10);  // one is expected of a random permutation
}

TEST(Permutation, RefusesAnIndexOutsideAndAnEmptySet) {
  const Permutation permutation(10, 0);
  EXPECT_THROW(permutation(10), InternalError);
  EXPECT_THROW(Permutation(0, 0), InternalError);
}

// The order of the rows of every run that was ever started; a change here breaks resuming. From a Python version.
TEST(PermutationGolden, GivesTheOrderThatRunsRelyOn) {
  EXPECT_EQ(order(10, 42), (std::vector<uint64_t>{3, 2, 9, 4, 7, 6, 8, 1, 5, 0}));
}

}  // namespace
}  // namespace bertcram::util
