#pragma once
// Documents → rows → shards of one split.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/shard.h"
#include "bertcram/text/tokenizer.h"

namespace bertcram::data {

/// Cuts a stream of documents into rows `[CLS] t t t [SEP] t t …`: every row starts with [CLS], every document ends
/// with [SEP], nothing is padded; a document goes on in the next row. The last, incomplete row is dropped.
class RowPacker {
 public:
  RowPacker(std::filesystem::path directory, std::string split, const ShardShape& shape, int64_t shard_rows,
            const text::SpecialTokens& special);
  ~RowPacker();

  void add_document(std::span<const int32_t> ids);
  /// Closes the last shard.
  void finish();

  const std::vector<ShardEntry>& shards() const { return entries_; }
  int64_t rows() const;

 private:
  void add_ids(std::span<const int32_t> ids);
  void write_row();
  void close_shard();

  std::filesystem::path directory_;
  std::string split_;
  ShardShape shape_;
  int64_t shard_rows_;
  text::SpecialTokens special_;
  std::vector<int32_t> row_;
  std::unique_ptr<ShardWriter> writer_;
  std::vector<ShardEntry> entries_;
};

}  // namespace bertcram::data
