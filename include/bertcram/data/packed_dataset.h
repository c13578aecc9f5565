#pragma once
// The folder that `bertcram pack` writes, as training reads it.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bertcram/data/masking.h"
#include "bertcram/data/shard.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

/// A shard as the manifest lists it.
struct ShardEntry {
  std::string file;
  int64_t rows = 0;
  std::string header_hash;  ///< XXH3-64 of its header as hex, which covers all its bytes; empty in older manifests
};

/// In which order an epoch goes through the rows.
enum class RowOrder {
  kShuffled,  ///< another order in every epoch
  kStored,    ///< as they stand in the shards
};

/// manifest.json of a packed folder (docs/formats.md).
struct PackedManifest {
  int64_t seq_len = 0;
  int64_t vocab_size = 0;
  std::string tokenizer_fingerprint;
  double unigram_entropy = 0.0;  ///< nats per token of the training documents
  RowOrder train_order = RowOrder::kShuffled;
  std::vector<ShardEntry> train_shards;
  std::vector<ShardEntry> valid_shards;
};

/// @throws DataError if the folder holds no complete packed data, or its manifest is damaged
PackedManifest read_packed_manifest(const std::filesystem::path& directory);

/// Rows of one split, addressable in any order. Immutable, thread-safe.
class RowStore {
 public:
  /// @throws DataError if a shard is missing, damaged, or another than the manifest says
  RowStore(const std::filesystem::path& directory, const std::vector<ShardEntry>& shards,
           const PackedManifest& manifest);

  int64_t rows() const { return first_row_.back(); }
  int64_t seq_len() const { return seq_len_; }
  void read_row(int64_t row, std::span<int32_t> ids) const;
  /// Checks all checksums now. @throws DataError, util::StoppedError
  void verify(const util::StopFlag& stop) const;

 private:
  int64_t seq_len_;
  std::vector<ShardReader> shards_;
  std::vector<int64_t> first_row_;  ///< of each shard, and the total at the end
};

/// Where the documents of a row begin, and its end: {0, …, row.size()}. [SEP] stands behind every document and nowhere
/// else, so that attention could be kept within documents (`cu_seqlens` of a row) without anything stored for it.
std::vector<int32_t> document_bounds(std::span<const int32_t> row, int32_t sep);

/// How often each token occurs in the training documents: [vocab_size]. @throws DataError
std::vector<uint64_t> read_token_counts(const std::filesystem::path& directory, const PackedManifest& manifest);

/// Entropy of a distribution given by counts, in nats.
double entropy_nats(std::span<const uint64_t> counts);

/// A few rows with their predictions: what one forward pass gets.
struct MaskedBatch {
  int64_t rows = 0;
  int64_t seq_len = 0;
  std::vector<int32_t> ids{};        ///< [rows * seq_len], corrupted
  std::vector<int64_t> positions{};  ///< [masked], into the flattened rows, ascending
  std::vector<int64_t> targets{};    ///< [masked], original ids in [0, vocab_size)
  double mask_prob = 0;              ///< share of each row that was to be masked
};

/// Batches of a split as pure functions of (seed, sample number): any batch can be made at once, in any order.
class MaskedBatches {
 public:
  MaskedBatches(const RowStore& rows, MaskingOptions masking, uint64_t seed, RowOrder order);

  int64_t seq_len() const { return rows_.seq_len(); }

  /// Samples [first, first + count): sample n is row permutation_e(n mod rows) of epoch e = n / rows.
  /// @param mask_prob  if given, instead of the one of the options
  MaskedBatch assemble(int64_t first_sample, int64_t count, std::optional<double> mask_prob = std::nullopt) const;

 private:
  const RowStore& rows_;
  MaskingOptions masking_;
  uint64_t seed_;
  RowOrder order_;
};

}  // namespace bertcram::data
