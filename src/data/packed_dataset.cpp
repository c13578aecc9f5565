#include "bertcram/data/packed_dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "bertcram/data/packed_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "bertcram/util/permutation.h"
#include "bertcram/util/staged_folder.h"

namespace bertcram::data {
namespace {

/// A whole number of the manifest. @throws DataError if it lies outside [smallest, largest], nlohmann::json::exception if
/// it is no number
int64_t whole_number(const std::filesystem::path& path, const nlohmann::json& object, const char* key, int64_t smallest,
                     int64_t largest) {
  const nlohmann::json& value = object.at(key);
  const double shown = value;
  if (!value.is_number_integer() || shown < static_cast<double>(smallest) || shown > static_cast<double>(largest)) {
    throw DataError(cat(path.string(), ": damaged manifest (", key, " is ", value.dump(), ", expected ", smallest,
                        " to ", largest, "); pack the data again"));
  }
  return value;
}

/// Whether `pack` would take it for its output: nothing is there, or nothing that shows itself.
bool is_free(const std::filesystem::path& folder) {
  if (std::error_code ignored; !std::filesystem::is_directory(folder, ignored)) {
    return !std::filesystem::exists(folder);
  }
  return std::ranges::all_of(std::filesystem::directory_iterator(folder),
                             [](const auto& entry) { return entry.path().filename().string().starts_with("."); });
}

}  // namespace

PackedManifest read_packed_manifest(const std::filesystem::path& directory) {
  constexpr int64_t kLargestCount = std::numeric_limits<int32_t>::max();
  constexpr int64_t kMostRows = int64_t{1} << 48;
  util::refuse_half_published(directory);
  const auto path = directory / kManifestFile;
  if (!std::filesystem::exists(path)) {
    throw DataError(cat(directory.string(), ": no packed data here (", kManifestFile,
                        " is missing); make it with 'bertcram pack --input TEXT --tokenizer T --output ",
                        is_free(directory) ? directory.string() + "'" : "PACKED' in a new folder, and give that"));
  }
  try {
    const auto json = util::parse_json(util::read_file(path));
    if (json.at("format") != kPackedFormat || json.at("version") != kPackedVersion) {
      throw DataError(cat(path.string(), ": format ", json.at("format").dump(), " version ", json.at("version").dump(),
                          ", expected ", kPackedFormat, " version ", kPackedVersion));
    }
    PackedManifest manifest;
    manifest.seq_len = whole_number(path, json, "seq_len", 1, kLargestCount);
    manifest.vocab_size = whole_number(path, json, "vocab_size", 1, kLargestCount);
    manifest.tokenizer_fingerprint = json.at("tokenizer_fingerprint");
    manifest.unigram_entropy = json.at("unigram_entropy_nats");
    manifest.train_order = json.value("order", "shuffled") == "shuffled" ? RowOrder::kShuffled : RowOrder::kStored;
    for (const auto& shard : json.at("shards")) {
      const bool is_train = shard.at("split") == "train";
      const ShardEntry entry = {.file = shard.at("file"),
                                .rows = whole_number(path, shard, "rows", 0, kMostRows),
                                .header_hash = shard.value("header_xxh3_64", "")};
      (is_train ? manifest.train_shards : manifest.valid_shards).push_back(entry);
    }
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    throw DataError(
        cat(path.string(), ": damaged manifest (", util::json_error_text(error.what()), "); pack the data again"));
  }
}

RowStore::RowStore(const std::filesystem::path& directory, const std::vector<ShardEntry>& shards,
                   const PackedManifest& manifest)
    : seq_len_(manifest.seq_len), first_row_{0} {
  const uint64_t tokenizer_hash = shard_tokenizer_hash(manifest.tokenizer_fingerprint);
  for (const ShardEntry& entry : shards) {
    ShardReader shard(directory / entry.file);
    if (shard.shape().seq_len != seq_len_ || shard.shape().tokenizer_hash != tokenizer_hash) {
      throw DataError(cat(shard.path().string(), ": made with another tokenizer or row length than ", kManifestFile,
                          " says; pack the data again into an empty folder"));
    }
    if (shard.rows() != entry.rows || (!entry.header_hash.empty() && shard.header_hash() != entry.header_hash)) {
      throw DataError(cat(shard.path().string(), ": not the shard that ", kManifestFile, " lists (", shard.rows(),
                          " rows, expected ", entry.rows, "); pack the data again into an empty folder"));
    }
    first_row_.push_back(first_row_.back() + shard.rows());
    shards_.push_back(std::move(shard));
  }
}

void RowStore::read_row(int64_t row, std::span<int32_t> ids) const {
  const auto after = std::ranges::upper_bound(first_row_, row);
  const auto shard = static_cast<size_t>(after - first_row_.begin()) - 1;
  BC_CHECK(row >= 0 && shard < shards_.size());
  shards_[shard].read_row(row - first_row_[shard], ids);
}

void RowStore::verify(const util::StopFlag& stop) const {
  for (const ShardReader& shard : shards_) {
    shard.verify(stop);
  }
}

std::vector<int32_t> document_bounds(std::span<const int32_t> row, int32_t sep) {
  std::vector<int32_t> bounds = {0};
  for (size_t i = 0; i + 1 < row.size(); ++i) {
    if (row[i] == sep) {
      bounds.push_back(static_cast<int32_t>(i + 1));
    }
  }
  bounds.push_back(static_cast<int32_t>(row.size()));
  return bounds;
}

std::vector<uint64_t> read_token_counts(const std::filesystem::path& directory, const PackedManifest& manifest) {
  const util::MappedFile file(directory / kTokenCountsFile);
  const size_t bytes = static_cast<size_t>(manifest.vocab_size) * sizeof(uint64_t);
  if (file.size() != bytes + sizeof(uint64_t)) {
    throw DataError(cat((directory / kTokenCountsFile).string(), ": ", file.size(), " bytes, expected ",
                        bytes + sizeof(uint64_t), "; pack the data again"));
  }
  std::vector<uint64_t> counts(static_cast<size_t>(manifest.vocab_size));
  uint64_t hash = 0;
  std::memcpy(counts.data(), file.bytes().data(), bytes);
  std::memcpy(&hash, file.bytes().data() + bytes, sizeof(hash));
  if (hash != util::hash64(file.text().substr(0, bytes))) {
    throw DataError(cat((directory / kTokenCountsFile).string(), ": checksum mismatch; pack the data again"));
  }
  return counts;
}

double entropy_nats(std::span<const uint64_t> counts) {
  double total = 0;
  for (const uint64_t count : counts) {
    total += static_cast<double>(count);
  }
  double entropy = 0;
  for (const uint64_t count : counts) {
    if (count > 0) {
      const double share = static_cast<double>(count) / total;
      entropy -= share * std::log(share);
    }
  }
  return entropy;
}

MaskedBatches::MaskedBatches(const RowStore& rows, MaskingOptions masking, uint64_t seed, RowOrder order)
    : rows_(rows), masking_(std::move(masking)), seed_(seed), order_(order) {
  BC_CHECK(rows.rows() > 0);
}

MaskedBatch MaskedBatches::assemble(int64_t first_sample, int64_t count, std::optional<double> mask_prob) const {
  using util::RandomPurpose;
  MaskingOptions masking = masking_;
  masking.mask_prob = mask_prob.value_or(masking_.mask_prob);
  MaskedBatch batch{.rows = count, .seq_len = rows_.seq_len(), .mask_prob = masking.mask_prob};
  batch.ids.resize(static_cast<size_t>(count * batch.seq_len));
  std::vector<int32_t> positions;
  std::vector<int32_t> targets;
  const auto total = static_cast<uint64_t>(rows_.rows());
  for (int64_t i = 0; i < count; ++i) {
    const auto sample = static_cast<uint64_t>(first_sample + i);
    const uint64_t epoch = sample / total;
    uint64_t row = sample % total;
    if (order_ == RowOrder::kShuffled) {
      row =
          util::Permutation(total, util::mix_key({seed_, static_cast<uint64_t>(RandomPurpose::kRowOrder), epoch}))(row);
    }
    const auto ids =
        std::span(batch.ids).subspan(static_cast<size_t>(i * batch.seq_len), static_cast<size_t>(batch.seq_len));
    rows_.read_row(static_cast<int64_t>(row), ids);
    positions.clear();
    targets.clear();
    mask_row(ids, util::RandomStream(seed_, RandomPurpose::kMasking, {epoch, row}), masking, positions, targets);
    for (size_t k = 0; k < positions.size(); ++k) {
      batch.positions.push_back(i * batch.seq_len + positions[k]);
      batch.targets.push_back(targets[k]);
    }
  }
  return batch;
}

}  // namespace bertcram::data
