// What masking promises: which tokens, how many, replaced by what, and the same again for the same key.

#include "bertcram/data/masking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "util/test_support.h"

namespace bertcram::data {
namespace {

constexpr int64_t kVocab = 60;

MaskingOptions options_of(double mask_prob = 0.15) {
  MaskingOptions options;
  options.mask_prob = mask_prob;
  options.mask_id = 4;
  options.special_ids = {0, 1, 2, 3, 4, 59};  // one at the very end of the vocabulary
  options.vocab_size = kVocab;
  return options;
}

bool is_special(int32_t id) {
  const auto special = options_of().special_ids;
  return std::find(special.begin(), special.end(), id) != special.end();
}

struct Masked {
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  std::vector<int32_t> targets;
  bool operator==(const Masked&) const = default;
};

Masked mask(std::vector<int32_t> ids, uint64_t key, const MaskingOptions& options) {
  Masked result{.ids = std::move(ids), .positions = {}, .targets = {}};
  mask_row(result.ids, util::RandomStream(key), options, result.positions, result.targets);
  return result;
}

std::vector<int32_t> random_row(util::RandomStream& random, size_t length) {
  std::vector<int32_t> row;
  for (size_t i = 0; i < length; ++i) {
    row.push_back(static_cast<int32_t>(random.below(kVocab)));
  }
  return row;
}

TEST(MlmMaskingProperty, NeverTouchesSpecialIdsNorDrawsOneNorLeavesTheVocabulary) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  for (int round = 0; round < 3000; ++round) {
    auto options = options_of(0.01 + 0.89 * random.uniform());
    options.mask_share = 0.2;
    options.random_share = 0.8;
    const auto row = random_row(random, 1 + random.below(64));
    const Masked masked = mask(row, random.next(), options);
    const auto ordinary = std::count_if(row.begin(), row.end(), [](int32_t id) { return !is_special(id); });
    const int64_t wanted = predictions_per_row(static_cast<int64_t>(row.size()), options);
    ASSERT_EQ(static_cast<int64_t>(masked.positions.size()), std::min<int64_t>(wanted, ordinary));
    ASSERT_TRUE(std::is_sorted(masked.positions.begin(), masked.positions.end()));
    ASSERT_EQ(std::adjacent_find(masked.positions.begin(), masked.positions.end()), masked.positions.end());
    std::vector<int32_t> restored = masked.ids;
    for (size_t i = 0; i < masked.positions.size(); ++i) {
      const auto at = static_cast<size_t>(masked.positions[i]);
      ASSERT_FALSE(is_special(row[at]));
      ASSERT_TRUE(masked.ids[at] == options.mask_id || !is_special(masked.ids[at])) << masked.ids[at];
      ASSERT_TRUE(masked.ids[at] >= 0 && masked.ids[at] < kVocab);
      ASSERT_EQ(masked.targets[i], row[at]);
      restored[at] = masked.targets[i];
    }
    ASSERT_EQ(restored, row) << "something else than the predicted positions changed";
  }
}

TEST(MlmMaskingProperty, IsAPureFunctionOfTheKey) {
  util::RandomStream random(test::test_seed());
  const auto row = random_row(random, 128);
  EXPECT_EQ(mask(row, 1, options_of()), mask(row, 1, options_of()));
  EXPECT_FALSE(mask(row, 1, options_of()) == mask(row, 2, options_of()));
}

// 80 / 10 / 10 (Devlin et al. 2019, §3.1) within six standard deviations.
TEST(MlmMaskingProperty, ReplacesInThePromisedShares) {
  const uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  util::RandomStream random(seed);
  double total = 0;
  double as_mask = 0;
  double unchanged = 0;
  std::vector<double> drawn(kVocab);
  for (int round = 0; round < 4000; ++round) {
    const std::vector<int32_t> row(100, 30);
    const Masked masked = mask(row, random.next(), options_of());
    for (const int32_t position : masked.positions) {
      const int32_t id = masked.ids[static_cast<size_t>(position)];
      ++total;
      as_mask += id == 4 ? 1 : 0;
      unchanged += id == 30 ? 1 : 0;
      drawn[static_cast<size_t>(id)] += id == 4 || id == 30 ? 0 : 1;
    }
  }
  const auto tolerance = [&](double share) { return 6 * std::sqrt(total * share * (1 - share)); };
  EXPECT_EQ(total, 4000 * 15);
  EXPECT_NEAR(as_mask, 0.8 * total, tolerance(0.8));
  const double kept = 0.1 + 0.1 / 54;  // the random draw hits the token itself once in 54
  EXPECT_NEAR(unchanged, kept * total, tolerance(kept));
  const double each = 0.1 / 54;
  for (int32_t id = 0; id < kVocab; ++id) {
    if (!is_special(id) && id != 30) {
      EXPECT_NEAR(drawn[static_cast<size_t>(id)], each * total, tolerance(each)) << id;
    }
  }
}

TEST(MlmMaskingProperty, EveryOrdinaryPositionIsEquallyLikely) {
  util::RandomStream random(test::test_seed());
  std::vector<double> hits(40);
  constexpr int kRows = 8000;
  for (int round = 0; round < kRows; ++round) {
    for (const int32_t position : mask(std::vector<int32_t>(40, 20), random.next(), options_of()).positions) {
      ++hits[static_cast<size_t>(position)];
    }
  }
  for (const double count : hits) {
    EXPECT_NEAR(count, 0.15 * kRows, 6 * std::sqrt(kRows * 0.15 * 0.85));
  }
}

TEST(MlmMasking, PredictsTheRoundedShareButAtLeastOne) {
  EXPECT_EQ(predictions_per_row(128, options_of(0.15)), 19);  // 19.2
  EXPECT_EQ(predictions_per_row(512, options_of(0.15)), 77);  // 76.8
  EXPECT_EQ(predictions_per_row(8, options_of(0.01)), 1);
  EXPECT_EQ(predictions_per_row(100, options_of(0.5)), 50);
}

TEST(MlmMasking, ARowOfSpecialIdsIsLeftAlone) {
  const Masked masked = mask({2, 3, 3, 0, 0}, 1, options_of(0.9));
  EXPECT_EQ(masked.ids, (std::vector<int32_t>{2, 3, 3, 0, 0}));
  EXPECT_TRUE(masked.positions.empty());
}

TEST(MlmMasking, AppendsBehindWhatIsThere) {
  std::vector<int32_t> ids(20, 30);
  std::vector<int32_t> positions = {99};
  std::vector<int32_t> targets = {98};
  mask_row(ids, util::RandomStream(1), options_of(), positions, targets);
  EXPECT_EQ(positions[0], 99);
  EXPECT_EQ(targets[0], 98);
  EXPECT_EQ(positions.size(), 4U);
}

}  // namespace
}  // namespace bertcram::data
