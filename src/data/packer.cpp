#include "bertcram/data/packer.h"

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/random.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"
#include "buckets.h"
#include "pack_manifest.h"
#include "row_packer.h"
#include "sources.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using util::RandomPurpose;

bool is_valid_document(const util::Hash128& content, double valid_frac) {
  const uint64_t key = util::mix_key({static_cast<uint64_t>(RandomPurpose::kValidSplit), content.high, content.low});
  return static_cast<double>(key >> 11) * 0x1.0p-53 < valid_frac;
}

void throw_if_stopped(const util::StopFlag& stop) {
  if (stop.requested()) {
    throw util::StoppedError(stop, "pack: stopped; nothing was written, run the same command again");
  }
}

/// First pass: all documents tokenised into buckets.
class FirstPass {
 public:
  FirstPass(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context,
            DocumentReader& reader, Buckets& buckets, util::Progress& progress)
      : config_(config),
        tokenizer_(tokenizer),
        context_(context),
        reader_(reader),
        buckets_(buckets),
        progress_(progress) {}

  void run(PackCounts& counts) {
    util::WorkerGroup workers;
    workers.run(util::thread_count(config_.threads), [&](int64_t) {
      PackCounts own;
      while (const auto batch = workers.failed() ? std::nullopt : next_batch()) {
        tokenize(*batch, own);
        progress_.add(batch->source_bytes);
      }
      const std::lock_guard lock(mutex_);
      counts.documents_read += own.documents_read;
      counts.documents_short += own.documents_short;
      counts.text_bytes += own.text_bytes;
      counts.invalid_utf8 += own.invalid_utf8;
    });
  }

 private:
  std::optional<DocumentBatch> next_batch() {
    const std::lock_guard lock(mutex_);
    throw_if_stopped(context_.stop);
    return reader_.next();
  }

  void tokenize(const DocumentBatch& batch, PackCounts& own) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < batch.size(); ++i) {
      const std::string_view text = batch[i];
      ++own.documents_read;
      own.text_bytes += static_cast<int64_t>(text.size());
      if (config_.min_chars > 1 && text::count_chars(text) < config_.min_chars) {
        ++own.documents_short;
        continue;
      }
      own.invalid_utf8 += text::count_invalid_utf8(text);
      ids.clear();
      tokenizer_.encode(text, ids, {.special_in_text = text::SpecialInText::kPlainText});
      const util::Hash128 content = util::hash128(text);
      const uint64_t place =
          util::mix_key({static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(RandomPurpose::kDocumentOrder),
                         content.high, content.low});
      buckets_.add({.content = content, .place = place, .ids = ids});
    }
  }

  const config::PackConfig& config_;
  const text::Tokenizer& tokenizer_;
  const PackContext& context_;
  DocumentReader& reader_;
  Buckets& buckets_;
  util::Progress& progress_;
  std::mutex mutex_;
};

/// Second pass: documents in order → rows. Equal texts are neighbours there, so duplicates cost no memory.
class SecondPass {
 public:
  SecondPass(const config::PackConfig& config, const text::Tokenizer& tokenizer, const fs::path& directory)
      : config_(config),
        special_(tokenizer.special()),
        shape_{.seq_len = config.seq_len,
               .bytes_per_id = bytes_per_id(tokenizer.vocab_size()),
               .tokenizer_hash = shard_tokenizer_hash(tokenizer.fingerprint())},
        train_(directory, "train", shape_, config.shard_rows, special_),
        valid_(directory, "valid", shape_, config.shard_rows, special_),
        token_counts_(static_cast<size_t>(tokenizer.vocab_size())) {}

  void add(const PackedDocument& document, PackCounts& counts) {
    if (config_.dedup == config::Dedup::kExact && last_ == document.content) {
      ++counts.documents_duplicate;
      return;
    }
    last_ = document.content;
    counts.tokens += static_cast<int64_t>(document.ids.size());
    if (is_valid_document(document.content, config_.valid_frac)) {
      ++counts.documents_valid;
      valid_.add_document(document.ids);
      return;
    }
    ++counts.documents_train;
    train_.add_document(document.ids);
    for (const int32_t id : document.ids) {
      ++token_counts_[static_cast<size_t>(id)];
    }
  }

  void finish(PackCounts& counts) {
    train_.finish();
    valid_.finish();
    counts.train_rows = train_.rows();
    counts.valid_rows = valid_.rows();
    counts.unigram_entropy = entropy_nats(token_counts_);
  }

  json shards() const {
    json list = json::array();
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

  void write_token_counts(const fs::path& path) const {
    const std::string_view bytes(reinterpret_cast<const char*>(token_counts_.data()),
                                 token_counts_.size() * sizeof(uint64_t));
    const uint64_t hash = util::hash64(bytes);
    util::AtomicFile file(path);
    file.write(bytes);
    file.write(std::as_bytes(std::span(&hash, 1)));
    file.commit();
  }

 private:
  const config::PackConfig& config_;
  text::SpecialTokens special_;
  ShardShape shape_;
  RowPacker train_;
  RowPacker valid_;
  std::vector<uint64_t> token_counts_;
  std::optional<util::Hash128> last_;
};

/// What the old data in the output folder consists of. Nothing else there is touched.
std::vector<std::string> old_content(const fs::path& output) {
  std::vector<std::string> names = packed_shards(output);
  if (fs::exists(output / kManifestFile)) {
    names.insert(names.end(), {kTokenCountsFile, kTokenizerFolder});
  }
  return names;
}

}  // namespace

PackCounts run_pack(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context) {
  const fs::path output = config.output;
  const auto files = expand_inputs(config.input);
  const std::string request = pack_request(config, tokenizer);
  util::finish_publishing(output, "pack");
  util::refuse_foreign_folder(output, kPackedFormat, "packed data");
  if (!config.overwrite) {
    if (const auto earlier = earlier_pack(output, request, files)) {
      util::log_info("pack", cat(output.string(), " already holds this result; nothing to do"));
      return *earlier;
    }
  }
  util::make_writable_directory(output);
  const util::DirectoryLock lock(output, "pack");
  util::StagedFolder staged(output);

  PackCounts counts;
  DocumentReader reader(files, {.input = config.text, .stop = &context.stop});
  SecondPass second(config, tokenizer, staged.staging());
  {
    Buckets buckets(staged.staging(), bytes_per_id(tokenizer.vocab_size()));
    {
      util::Progress progress({.label = "pack", .total = total_file_bytes(files), .style = context.progress});
      FirstPass(config, tokenizer, context, reader, buckets, progress).run(counts);
    }
    buckets.for_each_in_order([&](const PackedDocument& document) {
      throw_if_stopped(context.stop);
      second.add(document, counts);
    });
  }
  second.finish(counts);
  for (const SourceSummary& source : reader.summaries()) {
    counts.nul_bytes += source.nul_bytes;
    counts.bad_records += source.bad_records;
    counts.invalid_utf8 += source.invalid_utf8;
  }
  if (counts.train_rows == 0 && counts.documents_train == 0 && counts.documents_valid > 0) {
    throw DataError(cat("pack: the only ", counts.documents_valid == 1 ? "document is" : "documents are",
                        " held out; give more text or a smaller --valid-frac"));
  }
  if (counts.valid_rows == 0 && config.valid_frac > 0) {
    util::log_warning("pack", cat("no row is held out: too little text for --valid-frac ", config.valid_frac,
                                  "; with a larger one there will be a held-out loss"));
  }
  if (counts.train_rows == 0) {
    throw DataError(cat("pack: the input gives no training row of ", config.seq_len, " tokens (", counts.documents_read,
                        " documents, ", counts.tokens,
                        " tokens); give more text, or rows of fewer tokens (--seq-len of 'bertcram pack')"));
  }
  second.write_token_counts(staged.staging() / kTokenCountsFile);
  tokenizer.save(staged.staging() / kTokenizerFolder);
  const json manifest = pack_manifest(config, tokenizer, request, counts, second.shards(), reader.summaries());
  util::write_file_atomically(staged.staging() / kManifestFile, util::json_text(manifest, 1) + "\n");
  staged.publish(kManifestFile, old_content(output));
  return counts;
}

}  // namespace bertcram::data
