#pragma once
// Packed token shards: rows of token ids, memory-mapped, with a checksum per block. Byte layout: docs/formats.md.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "bertcram/util/file.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

/// What every shard of a packed folder has in common.
struct ShardShape {
  int64_t seq_len = 0;          ///< tokens per row
  int64_t bytes_per_id = 2;     ///< 2 up to 65,536 ids, otherwise 4
  uint64_t tokenizer_hash = 0;  ///< first 64 bits of the tokenizer's fingerprint
};

/// Ids that fit the vocabulary: 2 or 4 bytes.
int64_t bytes_per_id(int64_t vocab_size);

/// Writes one shard; nothing exists under its name until commit().
class ShardWriter {
 public:
  ShardWriter(const std::filesystem::path& path, const ShardShape& shape);
  ~ShardWriter();

  /// row.size() == shape.seq_len; ids in [0, vocabulary)
  void add_row(std::span<const int32_t> row);
  int64_t rows() const { return rows_; }
  /// Writes the checksums and the header. @return the hash of the header, as ShardReader::header_hash gives it
  /// @throws ResourceError
  std::string commit();

 private:
  template <class Id>
  void append_ids(std::span<const int32_t> ids);
  void flush_block();

  util::AtomicFile file_;
  ShardShape shape_;
  int64_t rows_ = 0;
  std::vector<std::byte> block_;
  std::vector<uint64_t> block_hashes_;
};

/// Reads one shard. Each block is checked against its hash when a row of it is first read.
/// Thread-safe: blocks may be checked twice, never skipped.
class ShardReader {
 public:
  /// @throws DataError if the header is damaged, of another version, or the file has the wrong length
  explicit ShardReader(const std::filesystem::path& path);
  ~ShardReader();
  ShardReader(ShardReader&&) noexcept;
  ShardReader& operator=(ShardReader&&) noexcept;

  int64_t rows() const { return rows_; }
  const ShardShape& shape() const { return shape_; }
  const std::filesystem::path& path() const { return path_; }
  /// XXH3-64 of the header as 16 hexadecimal digits; the header holds the hash of the block hashes, so that it stands
  /// for every byte of the file.
  std::string header_hash() const;

  /// Copies row `row` to `ids` (seq_len of them). @throws DataError if its block is damaged
  void read_row(int64_t row, std::span<int32_t> ids) const;
  /// Checks every block now. @throws DataError, util::StoppedError
  void verify(const util::StopFlag& stop) const;

 private:
  void verify_block(int64_t block) const;

  std::filesystem::path path_;
  util::MappedFile file_;
  ShardShape shape_;
  int64_t rows_ = 0;
  uint64_t header_hash_ = 0;
  std::span<const std::byte> payload_;
  std::vector<uint64_t> block_hashes_;
  struct CheckedBlocks;
  std::unique_ptr<CheckedBlocks> checked_;
};

}  // namespace bertcram::data
