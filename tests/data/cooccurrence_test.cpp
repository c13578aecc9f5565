// Neighbours are counted by distance within a document, whatever the number of threads.

#include "bertcram/data/cooccurrence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/packing_support.h"

namespace bertcram::data {
namespace {

using test::ScratchDirectory;

constexpr text::SpecialTokens kSpecial = {.pad = 0, .unk = 1, .cls = 2, .sep = 3, .mask = 4};
constexpr int64_t kVocab = 10;

class CooccurrenceTest : public ::testing::Test {
 protected:
  /// Rows of equal length as the training split of a packed folder.
  RowStore store(const std::vector<std::vector<int32_t>>& rows) {
    const auto seq_len = static_cast<int64_t>(rows.front().size());
    ShardWriter writer(scratch_ / "train-00000.bin", {.seq_len = seq_len, .bytes_per_id = 2, .tokenizer_hash = 0});
    for (const auto& row : rows) {
      writer.add_row(row);
    }
    const std::string hash = writer.commit();
    PackedManifest manifest;
    manifest.seq_len = seq_len;
    manifest.vocab_size = kVocab;
    manifest.tokenizer_fingerprint = "00000000000000000000000000000000";
    manifest.train_shards = {{.file = "train-00000.bin", .rows = writer.rows(), .header_hash = hash}};
    return {scratch_.path(), manifest.train_shards, manifest};
  }

  static std::vector<uint64_t> counts_of(const RowStore& rows) {
    std::vector<uint64_t> counts(kVocab);
    std::vector<int32_t> ids(static_cast<size_t>(rows.seq_len()));
    for (int64_t row = 0; row < rows.rows(); ++row) {
      rows.read_row(row, ids);
      for (const int32_t id : ids) {
        ++counts[static_cast<size_t>(id)];
      }
    }
    return counts;
  }

  static Cooccurrences count(const RowStore& rows, const CooccurrenceOptions& options = {}) {
    return count_cooccurrences(rows, counts_of(rows), kSpecial, options, util::StopFlag());
  }

  static uint32_t weight(const Cooccurrences& counts, int32_t id, int32_t neighbour) {
    const auto found = std::ranges::find(counts.contexts, neighbour);
    EXPECT_NE(found, counts.contexts.end()) << neighbour << " is no context";
    return counts.row(id)[static_cast<size_t>(found - counts.contexts.begin())];
  }

  ScratchDirectory scratch_;
};

TEST_F(CooccurrenceTest, PairsWeighByDistanceUpToTheWindow) {
  const auto counts = count(store({{2, 5, 6, 7, 8, 9, 6, 5}}));
  EXPECT_EQ(weight(counts, 5, 6), 2 * 60U + 2 * (60 / 5U));  // next to each other twice, five apart twice
  EXPECT_EQ(weight(counts, 6, 5), 2 * 60U + 2 * (60 / 5U));
  EXPECT_EQ(weight(counts, 7, 8), 60U);
  EXPECT_EQ(weight(counts, 7, 9), 30U);
  EXPECT_EQ(weight(counts, 9, 7), 30U);
  EXPECT_EQ(weight(counts, 5, 9), 60 / 4U + 60 / 2U);
  EXPECT_EQ(weight(counts, 5, 5), 0U);  // 6 apart
}

TEST_F(CooccurrenceTest, SpecialTokensHaveNoNeighboursAndASeparatorEndsTheDocument) {
  const auto counts = count(store({{2, 5, 6, 3, 7, 8, 1, 9}}));
  EXPECT_EQ(counts.contexts, (std::vector<int32_t>{5, 6, 7, 8, 9}));
  EXPECT_EQ(weight(counts, 6, 7), 0U);
  EXPECT_EQ(weight(counts, 7, 6), 0U);
  EXPECT_EQ(weight(counts, 8, 9), 30U);  // an unknown word between them keeps its place
  for (const int32_t special : {0, 1, 2, 3, 4}) {
    EXPECT_EQ(std::ranges::count(counts.row(special), 0U), 5) << special;
  }
}

TEST_F(CooccurrenceTest, TheMostFrequentTokensAreTheContexts) {
  const RowStore rows = store({{2, 9, 9, 9, 7, 7, 5, 6}});
  EXPECT_EQ(count(rows).contexts, (std::vector<int32_t>{9, 7, 5, 6}));
  EXPECT_EQ(count(rows, {.max_contexts = 2}).contexts, (std::vector<int32_t>{9, 7}));
  EXPECT_EQ(count(rows, {.max_cells = 3 * kVocab}).contexts, (std::vector<int32_t>{9, 7, 5}));
}

TEST_F(CooccurrenceTest, EqualForAnyThreadCountAndASampleIsSpreadOverTheRows) {
  util::RandomStream random(test::test_seed());
  std::vector<std::vector<int32_t>> rows(40);
  for (auto& row : rows) {
    row.push_back(2);
    while (row.size() < 12) {
      row.push_back(static_cast<int32_t>(3 + random.below(kVocab - 3)));
    }
  }
  const RowStore stored = store(rows);
  const auto one = count(stored, {.threads = 1});
  EXPECT_EQ(one.weights, count(stored, {.threads = 3}).weights);
  EXPECT_EQ(one.tokens, 40 * 12);

  const auto sample = count_cooccurrences(stored, counts_of(stored), kSpecial, {.max_tokens = 2 * 12}, {});
  EXPECT_EQ(sample.tokens, 2 * 12);
  std::vector<std::vector<int32_t>> spread = {rows[0], rows[20]};
  EXPECT_EQ(sample.weights,
            count_cooccurrences(store(spread), counts_of(stored), kSpecial, {}, util::StopFlag()).weights);
}

TEST_F(CooccurrenceTest, StopsWhenAsked) {
  const RowStore rows = store({{2, 5, 6, 7}});
  util::StopFlag stop;
  stop.request(15);
  EXPECT_THROW(count_cooccurrences(rows, counts_of(rows), kSpecial, {}, stop), util::StoppedError);
}

TEST(PositivePmi, IsTheLogarithmOfTheRatioToChance) {
  // Two tokens that see both contexts, the second context three times as often with the second token.
  const Cooccurrences counts = {.vocab = 3, .contexts = {0, 1}, .weights = {60, 20, 20, 60, 0, 0}};
  const auto pmi = positive_pmi(counts, 2);
  // Both contexts have a share of one half, smoothed or not.
  EXPECT_NEAR(pmi[0], std::log(0.75 / 0.5), 1e-6);
  EXPECT_EQ(pmi[1], 0.0F);
  EXPECT_EQ(pmi[2], 0.0F);
  EXPECT_NEAR(pmi[3], std::log(0.75 / 0.5), 1e-6);
  EXPECT_EQ(pmi[4], 0.0F);
  EXPECT_EQ(pmi[5], 0.0F);
}

TEST(PositivePmi, SmoothsTheContexts) {
  const Cooccurrences counts = {.vocab = 2, .contexts = {0, 1}, .weights = {16, 0, 240, 16}};
  const double rare = std::pow(16.0, 0.75);
  const double frequent = std::pow(256.0, 0.75);
  EXPECT_NEAR(positive_pmi(counts, 1)[0], std::log(1.0 / (frequent / (rare + frequent))), 1e-6);
  EXPECT_NEAR(positive_pmi(counts, 1)[3], std::max(0.0, std::log(16.0 / 256 / (rare / (rare + frequent)))), 1e-6);
}

}  // namespace
}  // namespace bertcram::data
