// Batches are pure functions of seed and sample number; a damaged folder is refused.

#include "bertcram/data/packed_dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "data/packing_support.h"
#include "data/sources.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;

class MaskedBatchesProperty : public ::testing::Test {
 protected:
  static constexpr uint64_t kSeed = 17;

  void SetUp() override {
    config::PackConfig& config = config_;
    config.input = {scratch_.write("text", test::joined(test::random_documents(test::test_seed(), 150))).string()};
    config.output = (scratch_ / "packed").string();
    config.seq_len = 16;
    config.valid_frac = 0;
    config.shard_rows = 30;
    config.threads = 1;
    test::pack(config);
    manifest_ = read_packed_manifest(config.output);
    store_.emplace(config.output, manifest_.train_shards, manifest_);
    masking_.mask_id = 4;
    masking_.special_ids = {0, 1, 2, 3, 4};
    masking_.vocab_size = manifest_.vocab_size;
  }

  MaskedBatches batches(RowOrder order, uint64_t seed = kSeed) const { return {*store_, masking_, seed, order}; }

  /// The rows of a batch with their predictions put back.
  static std::vector<std::vector<int32_t>> restored(MaskedBatch batch) {
    for (size_t i = 0; i < batch.positions.size(); ++i) {
      batch.ids[static_cast<size_t>(batch.positions[i])] = static_cast<int32_t>(batch.targets[i]);
    }
    std::vector<std::vector<int32_t>> rows;
    for (auto at = batch.ids.begin(); at != batch.ids.end(); at += batch.seq_len) {
      rows.emplace_back(at, at + batch.seq_len);
    }
    return rows;
  }

  std::vector<std::vector<int32_t>> stored_rows() const {
    std::vector<std::vector<int32_t>> rows(static_cast<size_t>(store_->rows()), std::vector<int32_t>(16));
    for (size_t i = 0; i < rows.size(); ++i) {
      store_->read_row(static_cast<int64_t>(i), rows[i]);
    }
    return rows;
  }

  ScratchDirectory scratch_;
  config::PackConfig config_;
  PackedManifest manifest_;
  std::optional<RowStore> store_;
  MaskingOptions masking_;
};

TEST_F(MaskedBatchesProperty, AnySplitIntoMicroBatchesGivesTheSameSamples) {
  const auto source = batches(RowOrder::kShuffled);
  const int64_t first = store_->rows() - 5;  // across the border of an epoch
  const MaskedBatch whole = source.assemble(first, 12);
  for (const int64_t micro : {1, 2, 3, 4, 6}) {
    MaskedBatch joined;
    for (int64_t at = 0; at < 12; at += micro) {
      const MaskedBatch part = source.assemble(first + at, micro);
      joined.ids.insert(joined.ids.end(), part.ids.begin(), part.ids.end());
      for (const int64_t position : part.positions) {
        joined.positions.push_back(position + at * part.seq_len);
      }
      joined.targets.insert(joined.targets.end(), part.targets.begin(), part.targets.end());
    }
    EXPECT_EQ(joined.ids, whole.ids) << micro;
    EXPECT_EQ(joined.positions, whole.positions) << micro;
    EXPECT_EQ(joined.targets, whole.targets) << micro;
  }
}

TEST_F(MaskedBatchesProperty, EachEpochVisitsEveryRowOnceInAnotherOrder) {
  auto expected = stored_rows();
  const auto source = batches(RowOrder::kShuffled);
  const auto first = restored(source.assemble(0, store_->rows()));
  const auto second = restored(source.assemble(store_->rows(), store_->rows()));
  EXPECT_NE(first, expected);
  EXPECT_NE(first, second);
  std::sort(expected.begin(), expected.end());
  for (auto epoch : {first, second}) {
    std::sort(epoch.begin(), epoch.end());
    EXPECT_EQ(epoch, expected);
  }
}

TEST_F(MaskedBatchesProperty, ARowIsMaskedAnewInEachEpoch) {
  const auto source = batches(RowOrder::kStored);
  const MaskedBatch first = source.assemble(0, 20);
  const MaskedBatch second = source.assemble(store_->rows(), 20);
  EXPECT_EQ(restored(first), restored(second));
  EXPECT_NE(first.positions, second.positions);
}

TEST_F(MaskedBatchesProperty, SequentialOrderIsTheStoredOne) {
  EXPECT_EQ(restored(batches(RowOrder::kStored).assemble(0, store_->rows())), stored_rows());
}

TEST_F(MaskedBatchesProperty, TheSeedDecidesOrderAndMasks) {
  const auto one = batches(RowOrder::kShuffled, 1);
  const auto two = batches(RowOrder::kShuffled, 2);
  EXPECT_NE(restored(one.assemble(0, 20)), restored(two.assemble(0, 20)));
  EXPECT_EQ(one.assemble(7, 5).ids, batches(RowOrder::kShuffled, 1).assemble(7, 5).ids);
}

TEST(EntropyNats, ByHand) {
  EXPECT_DOUBLE_EQ(entropy_nats(std::vector<uint64_t>{5, 5, 0, 5, 5}), std::log(4));
  EXPECT_EQ(entropy_nats(std::vector<uint64_t>{7, 0}), 0.0);
  EXPECT_NEAR(entropy_nats(std::vector<uint64_t>{1, 3}), 0.25 * std::log(4) + 0.75 * std::log(4.0 / 3), 1e-15);
  EXPECT_EQ(entropy_nats(std::vector<uint64_t>{0, 0}), 0.0);
}

/// A packed folder whose files the test damages.
class PackedFolderFormat : public MaskedBatchesProperty {};

TEST_F(PackedFolderFormat, ADamagedManifestIsADataError) {
  const auto path = scratch_ / "packed/manifest.json";
  const std::string whole = test::read_bytes(path);
  for (size_t length = 0; length + 2 < whole.size(); length += 29) {
    test::write_bytes(path, whole.substr(0, length));
    EXPECT_THROW(read_packed_manifest(scratch_ / "packed"), DataError) << length;
  }
  test::write_bytes(path, "{\"format\": \"bertcram-packed\", \"version\": 99}");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_packed_manifest(scratch_ / "packed"); }), "version 99"));
  std::filesystem::remove(path);
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_packed_manifest(scratch_ / "packed"); }), "bertcram pack"));
}

TEST_F(PackedFolderFormat, ANumberOutsideItsRangeIsADataError) {
  using nlohmann::json;
  const auto path = scratch_ / "packed/manifest.json";
  const json whole = json::parse(test::read_bytes(path));
  for (const char* key : {"/seq_len", "/vocab_size", "/shards/0/rows"}) {
    for (const json& value : {json(-1), json(1e30), json(0.5), json(uint64_t{1} << 63), json("57"), json(nullptr)}) {
      json damaged = whole;
      damaged[json::json_pointer(key)] = value;
      test::write_bytes(path, damaged.dump());
      EXPECT_TRUE(
          contains(message_of<DataError>([&] { read_packed_manifest(scratch_ / "packed"); }), "damaged manifest"))
          << key << " " << value;
    }
  }
  PackedManifest manifest = manifest_;
  manifest.vocab_size = int64_t{1} << 31;  // more than there is memory for
  EXPECT_THROW(read_token_counts(scratch_ / "packed", manifest), DataError);
}

TEST_F(PackedFolderFormat, ADamagedManifestCanBeOverwritten) {
  using nlohmann::json;
  const auto path = scratch_ / "packed/manifest.json";
  const std::string whole = test::read_bytes(path);
  config_.overwrite = true;
  for (const json& file : {json(7), json(nullptr), json("../text.bin")}) {
    json manifest = json::parse(whole);
    manifest["shards"][0]["file"] = file;
    test::write_bytes(path, manifest.dump());
    EXPECT_NO_THROW(test::pack(config_)) << file;
    EXPECT_EQ(test::read_bytes(path), whole) << file;
  }
}

TEST_F(PackedFolderFormat, AStopEndsTheCheckOfAShardAndOfTheInputs) {
  util::StopFlag stop;
  stop.request(15);
  const auto folder = scratch_ / "packed";
  EXPECT_THROW(ShardReader(folder / manifest_.train_shards[0].file).verify(stop), util::StoppedError);
  const auto sources = nlohmann::json::parse(test::read_bytes(folder / "manifest.json")).at("sources");
  EXPECT_TRUE(are_same_sources(sources, {scratch_ / "text"}, util::StopFlag()));
  EXPECT_THROW(are_same_sources(sources, {scratch_ / "text"}, stop), util::StoppedError);
}

TEST_F(PackedFolderFormat, AMissingShardOrOneOfAnotherFolderIsADataError) {
  const auto folder = scratch_ / "packed";
  auto manifest = manifest_;
  manifest.tokenizer_fingerprint[0] = manifest.tokenizer_fingerprint[0] == 'a' ? 'b' : 'a';
  EXPECT_TRUE(contains(message_of<DataError>([&] { RowStore(folder, manifest_.train_shards, manifest); }),
                       "another tokenizer or row length"));
  manifest = manifest_;
  manifest.seq_len = 17;
  EXPECT_THROW(RowStore(folder, manifest_.train_shards, manifest), DataError);
  std::filesystem::remove(folder / manifest_.train_shards[1].file);
  EXPECT_TRUE(contains(message_of<DataError>([&] { RowStore(folder, manifest_.train_shards, manifest_); }),
                       manifest_.train_shards[1].file));
}

TEST_F(PackedFolderFormat, AWholeShardOfTheSameShapeFromAnotherPackIsADataError) {
  const auto folder = scratch_ / "packed";
  const ShardEntry& first = manifest_.train_shards[0];
  const ShardEntry& second = manifest_.train_shards[1];
  ASSERT_EQ(first.rows, second.rows);
  EXPECT_EQ(ShardReader(folder / first.file).header_hash(), first.header_hash);
  std::filesystem::copy_file(folder / first.file, folder / second.file,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(contains(message_of<DataError>([&] { RowStore(folder, manifest_.train_shards, manifest_); }),
                       "not the shard that manifest.json lists"));
}

TEST_F(PackedFolderFormat, DamagedTokenCountsAreADataError) {
  const auto path = scratch_ / "packed/token_counts.bin";
  const std::string whole = test::read_bytes(path);
  EXPECT_EQ(whole.size(), 8 * 57 + 8U);
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] ^= 4;
    test::write_bytes(path, damaged);
    EXPECT_THROW(read_token_counts(scratch_ / "packed", manifest_), DataError) << at;
    test::write_bytes(path, whole.substr(0, at));
    EXPECT_THROW(read_token_counts(scratch_ / "packed", manifest_), DataError) << at;
  }
}

TEST(DocumentBounds, AreWhereADocumentBeginsAndTheRowEnds) {
  constexpr int32_t kSep = 3;
  using Bounds = std::vector<int32_t>;
  const auto bounds = [](const std::vector<int32_t>& row) { return document_bounds(row, kSep); };
  EXPECT_EQ(bounds({2, 7, 8, 9}), (Bounds{0, 4}));
  EXPECT_EQ(bounds({2, 7, 3, 9}), (Bounds{0, 3, 4}));
  EXPECT_EQ(bounds({2, 7, 9, 3}), (Bounds{0, 4}));
  EXPECT_EQ(bounds({2, 3, 3, 9}), (Bounds{0, 2, 3, 4}));
}

}  // namespace
}  // namespace bertcram::data
