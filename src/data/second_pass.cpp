#include "second_pass.h"

#include <nlohmann/json.hpp>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/random.h"

namespace bertcram::data {
namespace {

bool is_valid_document(const util::Hash128& content, double valid_frac) {
  const uint64_t key =
      util::mix_key({static_cast<uint64_t>(util::RandomPurpose::kValidSplit), content.high, content.low});
  return static_cast<double>(key >> 11) * 0x1.0p-53 < valid_frac;
}

}  // namespace

SecondPass::SecondPass(const config::PackConfig& config, const text::Tokenizer& tokenizer,
                       const std::filesystem::path& directory, const NearDuplicates* near_duplicates, Copies copies)
    : config_(config),
      near_duplicates_(near_duplicates),
      copies_(copies),
      special_(tokenizer.special()),
      shape_{.seq_len = config.seq_len,
             .bytes_per_id = bytes_per_id(tokenizer.vocab_size()),
             .tokenizer_hash = shard_tokenizer_hash(tokenizer.fingerprint())},
      train_(directory, "train", shape_, config.shard_rows, special_),
      valid_(directory, "valid", shape_, config.shard_rows, special_),
      token_counts_(static_cast<size_t>(tokenizer.vocab_size())) {}

void SecondPass::add(const PackedDocument& document, PackCounts& counts) {
  const bool is_valid = is_valid_document(document.content, config_.valid_frac);
  if (is_valid && document.copy > 0) {
    return;
  }
  const int64_t one_document = document.copy == 0 ? 1 : 0;  // a document that is dropped counts once, not per copy
  const auto identity = std::pair(document.content, document.copy);
  if (config_.dedup == config::Dedup::kExact && last_ == identity) {
    counts.documents_duplicate += one_document;
    return;
  }
  last_ = identity;
  if (near_duplicates_ != nullptr && !near_duplicates_->is_kept(document.number)) {
    counts.documents_near_duplicate += one_document;
    return;
  }
  const std::span<const int32_t> ids = without_known_paragraphs(document, counts);
  if (ids.empty()) {
    counts.documents_duplicate += one_document;
    return;
  }
  counts.tokens += static_cast<int64_t>(ids.size());
  if (is_valid) {
    ++counts.documents_valid;
    valid_.add_document(ids);
    return;
  }
  ++counts.documents_train;
  counts.documents_repeated += 1 - one_document;
  train_.add_document(ids);
  for (const int32_t id : ids) {
    ++token_counts_[static_cast<size_t>(id)];
  }
}

/// Whether the paragraph is the document's own, and not given in this copy yet.
bool SecondPass::takes_paragraph(uint64_t content, const PackedDocument& document) {
  const bool is_new = paragraphs_.insert(content);
  if (copies_ == Copies::kNone) {
    return is_new;
  }
  const uint64_t owned = util::mix_key({content, document.content.high, document.content.low});
  if (is_new) {
    paragraphs_.insert(owned);
  }
  return paragraphs_.contains(owned) && paragraphs_.insert(util::mix_key({owned, document.copy}));
}

std::span<const int32_t> SecondPass::without_known_paragraphs(const PackedDocument& document, PackCounts& counts) {
  if (document.paragraphs.empty()) {
    return document.ids;
  }
  kept_ids_.clear();
  uint64_t begin = 0;
  for (const Paragraph& paragraph : document.paragraphs) {
    if (paragraph.content == 0 || takes_paragraph(paragraph.content, document)) {
      const auto ids = document.ids.subspan(begin, paragraph.end - begin);
      kept_ids_.insert(kept_ids_.end(), ids.begin(), ids.end());
    } else {
      ++counts.paragraphs_duplicate;
    }
    begin = paragraph.end;
  }
  if (!kept_ids_.empty()) {  // the white space at the end
    kept_ids_.insert(kept_ids_.end(), document.ids.begin() + static_cast<std::ptrdiff_t>(begin), document.ids.end());
  }
  return kept_ids_;
}

void SecondPass::finish(PackCounts& counts) {
  train_.finish();
  valid_.finish();
  counts.train_rows = train_.rows();
  counts.valid_rows = valid_.rows();
  counts.unigram_entropy = entropy_nats(token_counts_);
}

nlohmann::json SecondPass::shards() const {
  nlohmann::json list = nlohmann::json::array();
  for (const RowPacker* split : {&train_, &valid_}) {
    for (const ShardEntry& entry : split->shards()) {
      list.push_back({{"file", entry.file},
                      {"rows", entry.rows},
                      {"split", split == &train_ ? "train" : "valid"},
                      {"header_xxh3_64", entry.header_hash}});
    }
  }
  return list;
}

void SecondPass::write_token_counts(const std::filesystem::path& path) const {
  const std::string_view bytes(reinterpret_cast<const char*>(token_counts_.data()),
                               token_counts_.size() * sizeof(uint64_t));
  const uint64_t hash = util::hash64(bytes);
  util::AtomicFile file(path);
  file.write(bytes);
  file.write(std::as_bytes(std::span(&hash, 1)));
  file.commit();
}

}  // namespace bertcram::data
