// Shards give back what was written, and nothing when they are damaged.

#include "bertcram/data/shard.h"

#include <gtest/gtest.h>

#include <cstring>

#include "bertcram/util/hash.h"
#include "bertcram/util/random.h"
#include "util/test_support.h"

namespace bertcram::data {
namespace {

using test::contains;
using test::message_of;
using test::ScratchDirectory;
using Rows = std::vector<std::vector<int32_t>>;

Rows random_rows(size_t count, size_t seq_len, uint64_t vocab, uint64_t seed) {
  util::RandomStream random(seed);
  Rows rows(count, std::vector<int32_t>(seq_len));
  for (auto& row : rows) {
    for (int32_t& id : row) {
      id = static_cast<int32_t>(random.below(vocab));
    }
  }
  return rows;
}

void write_shard(const std::filesystem::path& path, const Rows& rows, const ShardShape& shape) {
  ShardWriter writer(path, shape);
  for (const auto& row : rows) {
    writer.add_row(row);
  }
  EXPECT_EQ(writer.rows(), static_cast<int64_t>(rows.size()));
  writer.commit();
}

Rows read_shard(const std::filesystem::path& path) {
  const ShardReader reader(path);
  Rows rows(static_cast<size_t>(reader.rows()), std::vector<int32_t>(static_cast<size_t>(reader.shape().seq_len)));
  for (size_t i = rows.size(); i > 0; --i) {  // in any order
    reader.read_row(static_cast<int64_t>(i - 1), rows[i - 1]);
  }
  return rows;
}

// A block is 1 MiB: 2,200,000 bytes of ids make three, and rows of 1000 tokens straddle their borders.
TEST(ShardProperty, GivesBackItsRowsAcrossBlocksWith2And4Bytes) {
  const ScratchDirectory scratch;
  for (const int64_t bytes : {2, 4}) {
    const uint64_t vocab = bytes == 2 ? 65'536 : 2'000'000'000;
    const Rows rows = random_rows(static_cast<size_t>(2200 / bytes), 1000, vocab, test::test_seed());
    write_shard(scratch / "shard", rows, {.seq_len = 1000, .bytes_per_id = bytes, .tokenizer_hash = 77});
    EXPECT_TRUE(read_shard(scratch / "shard") == rows) << bytes << " bytes";
    const ShardReader reader(scratch / "shard");
    EXPECT_EQ(reader.shape().bytes_per_id, bytes);
    EXPECT_EQ(reader.shape().tokenizer_hash, 77U);
    EXPECT_NO_THROW(reader.verify(util::StopFlag()));
    EXPECT_EQ(std::filesystem::file_size(scratch / "shard"), 64 + 2'200'000 + 3 * 8);
  }
}

TEST(Shard, OneOfExactlyOneBlockOrWithoutRowsIsFine) {
  const ScratchDirectory scratch;
  const Rows full = random_rows(512, 1024, 100, 1);
  write_shard(scratch / "full", full, {.seq_len = 1024, .bytes_per_id = 2});
  EXPECT_TRUE(read_shard(scratch / "full") == full);
  EXPECT_EQ(std::filesystem::file_size(scratch / "full"), 64 + (1U << 20) + 8);
  write_shard(scratch / "none", {}, {.seq_len = 16, .bytes_per_id = 2});
  EXPECT_EQ(ShardReader(scratch / "none").rows(), 0);
}

TEST(Shard, IdsTakeTwoBytesAsLongAsTheyFit) {
  EXPECT_EQ(bytes_per_id(65'536), 2);
  EXPECT_EQ(bytes_per_id(65'537), 4);
}

TEST(Shard, NothingIsThereBeforeCommit) {
  const ScratchDirectory scratch;
  {
    ShardWriter writer(scratch / "shard", {.seq_len = 4, .bytes_per_id = 2});
    writer.add_row(std::vector<int32_t>{1, 2, 3, 4});
    EXPECT_THROW(writer.add_row(std::vector<int32_t>{1, 2, 3}), InternalError);
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(Shard, RowsOutsideAndBuffersOfAnotherLengthAreRefused) {
  const ScratchDirectory scratch;
  write_shard(scratch / "shard", random_rows(3, 4, 10, 1), {.seq_len = 4, .bytes_per_id = 2});
  const ShardReader reader(scratch / "shard");
  std::vector<int32_t> row(4);
  EXPECT_THROW(reader.read_row(3, row), InternalError);
  EXPECT_THROW(reader.read_row(-1, row), InternalError);
  row.resize(5);
  EXPECT_THROW(reader.read_row(0, row), InternalError);
}

/// Writes a small shard and returns its bytes.
std::string small_shard(const std::filesystem::path& path) {
  write_shard(path, random_rows(5, 8, 1000, 2), {.seq_len = 8, .bytes_per_id = 2, .tokenizer_hash = 1});
  return test::read_bytes(path);
}

TEST(ShardFormat, EveryFlippedByteIsRefused) {
  const ScratchDirectory scratch;
  const std::string whole = small_shard(scratch / "shard");
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char flip : {'\x01', '\x80', '\xFF'}) {
      std::string damaged = whole;
      damaged[at] ^= flip;
      const auto path = scratch.write("damaged", damaged);
      EXPECT_THROW(ShardReader(path).verify(util::StopFlag()), DataError) << "byte " << at;
      EXPECT_THROW(read_shard(path), DataError) << "byte " << at;
    }
  }
}

TEST(ShardFormat, EveryTruncationAndEveryAddedByteIsRefused) {
  const ScratchDirectory scratch;
  const std::string whole = small_shard(scratch / "shard");
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto path = scratch.write("damaged", whole.substr(0, length));
    EXPECT_TRUE(contains(message_of<DataError>([&] { ShardReader reader(path); }), "damaged")) << length;
  }
  EXPECT_THROW(ShardReader(scratch.write("damaged", whole + "x")), DataError);
}

TEST(ShardFormat, DamageInOneBlockLeavesTheOthersReadable) {
  const ScratchDirectory scratch;
  const Rows rows = random_rows(1024, 1024, 100, 1);  // two blocks of 512 rows
  write_shard(scratch / "shard", rows, {.seq_len = 1024, .bytes_per_id = 2});
  std::string bytes = test::read_bytes(scratch / "shard");
  bytes[64 + (1U << 20) + 5] ^= 1;
  const ShardReader reader(scratch.write("damaged", bytes));
  std::vector<int32_t> row(1024);
  EXPECT_NO_THROW(reader.read_row(511, row));
  EXPECT_EQ(row, rows[511]);
  EXPECT_TRUE(contains(message_of<DataError>([&] { reader.read_row(512, row); }), "pack --overwrite"));
  EXPECT_THROW(reader.verify(util::StopFlag()), DataError);
}

TEST(ShardFormat, ADamagedChecksumTableIsFoundWhenTheFileIsOpened) {
  const ScratchDirectory scratch;
  std::string bytes = small_shard(scratch / "shard");
  bytes.back() ^= 1;
  EXPECT_TRUE(contains(message_of<DataError>([&] { ShardReader reader(scratch.write("damaged", bytes)); }), "table"));
}

TEST(ShardFormat, AnotherVersionIsNamed) {
  const ScratchDirectory scratch;
  std::string bytes = small_shard(scratch / "shard");
  bytes[8] = 2;
  EXPECT_TRUE(contains(message_of<DataError>([&] { ShardReader reader(scratch.write("newer", bytes)); }), "version 2"));
}

// Sizes whose product overflows to the file's length, under a valid checksum.
TEST(ShardFormat, SizesThatOverflowAreRefused) {
  const ScratchDirectory scratch;
  std::string bytes = small_shard(scratch / "shard").substr(0, 64);
  const uint64_t rows = uint64_t{1} << 60;  // * 8 tokens * 2 bytes = 2^64
  std::memcpy(bytes.data() + 24, &rows, sizeof(rows));
  const uint64_t empty_table = util::hash64("");
  std::memcpy(bytes.data() + 40, &empty_table, sizeof(empty_table));
  const uint64_t header_hash = util::hash64(std::string_view(bytes).substr(0, 56));
  std::memcpy(bytes.data() + 56, &header_hash, sizeof(header_hash));
  EXPECT_THROW(ShardReader(scratch.write("huge", bytes)), DataError);
}

}  // namespace
}  // namespace bertcram::data
