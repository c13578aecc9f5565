#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "bertcram/config/pack_config.h"
#include "bertcram/data/packer.h"
#include "bertcram/text/tokenizer.h"
#include "buckets.h"
#include "hash_set.h"
#include "near_duplicates.h"
#include "row_packer.h"

namespace bertcram::data {

/// Whether there are documents whose copy is not 0.
enum class Copies { kNone, kSome };

/// The second pass of packing: documents in their final order → rows. Equal texts are neighbours there, so that exact
/// duplicates cost no memory; paragraphs seen take up to 24 bytes each, and as much again for each copy where there are
/// copies. A paragraph belongs to the text in which it comes first, held out or not; other texts and their copies lose it.
/// What is held out is held out once.
class SecondPass {
 public:
  /// @param near_duplicates  linked, or nullptr where they are kept
  SecondPass(const config::PackConfig& config, const text::Tokenizer& tokenizer, const std::filesystem::path& directory,
             const NearDuplicates* near_duplicates, Copies copies);

  void add(const PackedDocument& document, PackCounts& counts);
  void finish(PackCounts& counts);

  /// The shards for the manifest.
  nlohmann::json shards() const;
  void write_token_counts(const std::filesystem::path& path) const;

 private:
  bool takes_paragraph(uint64_t content, const PackedDocument& document);
  std::span<const int32_t> without_known_paragraphs(const PackedDocument& document, PackCounts& counts);

  const config::PackConfig& config_;
  const NearDuplicates* near_duplicates_;
  Copies copies_;
  text::SpecialTokens special_;
  ShardShape shape_;
  RowPacker train_;
  RowPacker valid_;
  std::vector<uint64_t> token_counts_;
  std::optional<std::pair<util::Hash128, uint32_t>> last_;  ///< text and number of the copy
  HashSet
      paragraphs_;  ///< seen; where there are copies also (paragraph, text) and (paragraph, text, copy) of those kept
  std::vector<int32_t> kept_ids_;
};

}  // namespace bertcram::data
