#include "bertcram/data/packer.h"

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "bertcram/config/resolve.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "bertcram/util/parallel.h"
#include "bertcram/util/random.h"
#include "bertcram/util/text.h"
#include "buckets.h"
#include "row_packer.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using util::RandomPurpose;

constexpr const char* kPartialFolder = ".partial";

/// What decides whether a folder already holds this result: options, tokenizer, and the inputs' names and sizes.
std::string request_fingerprint(const config::PackConfig& config, const text::Tokenizer& tokenizer,
                                const std::vector<fs::path>& files) {
  config::PackConfig copy = config;
  std::string canonical = config::fingerprint(config::fields_of(copy)) + tokenizer.fingerprint();
  for (const fs::path& file : files) {
    std::error_code ignored;
    canonical += cat("\n", file.string(), " ", fs::file_size(file, ignored));
  }
  return util::hash128(canonical).hex();
}

bool is_valid_document(const util::Hash128& content, double valid_frac) {
  const uint64_t key = util::mix_key({static_cast<uint64_t>(RandomPurpose::kValidSplit), content.high, content.low});
  return static_cast<double>(key >> 11) * 0x1.0p-53 < valid_frac;
}

/// First pass: all documents tokenised into buckets.
class FirstPass {
 public:
  FirstPass(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context,
            DocumentReader& reader, Buckets& buckets, util::Progress& progress)
      : config_(config), tokenizer_(tokenizer), context_(context), reader_(reader), buckets_(buckets),
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
    if (context_.stop.requested()) {
      throw util::StoppedError(context_.stop, "pack: stopped; nothing was written, run the same command again");
    }
    return reader_.next();
  }

  void tokenize(const DocumentBatch& batch, PackCounts& own) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < batch.size(); ++i) {
      const std::string_view text = batch[i];
      ++own.documents_read;
      own.text_bytes += static_cast<int64_t>(text.size());
      if (static_cast<int64_t>(text.size()) < config_.min_chars) {
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
        list.push_back({{"file", entry.file}, {"rows", entry.rows}, {"split", split == &train_ ? "train" : "valid"}});
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

json manifest_json(const config::PackConfig& config, const text::Tokenizer& tokenizer, const std::string& request,
                   const PackCounts& counts, const json& shards, const std::vector<SourceSummary>& sources) {
  json source_list = json::array();
  for (const SourceSummary& source : sources) {
    source_list.push_back({{"path", source.path}, {"file_bytes", source.file_bytes}, {"text_bytes", source.text_bytes},
                           {"documents", source.documents}, {"nul_bytes", source.nul_bytes}, {"xxh3_128", source.hash}});
  }
  const auto& special = tokenizer.special();
  return {{"format", kPackedFormat}, {"version", kPackedVersion}, {"request", request},
          {"seq_len", config.seq_len}, {"seed", config.seed}, {"valid_frac", config.valid_frac},
          {"tokenizer_fingerprint", tokenizer.fingerprint()}, {"vocab_size", tokenizer.vocab_size()},
          {"special_ids", {{"pad", special.pad}, {"unk", special.unk}, {"cls", special.cls}, {"sep", special.sep}, {"mask", special.mask}}},
          {"unigram_entropy_nats", counts.unigram_entropy},
          {"counts", {{"documents_read", counts.documents_read}, {"documents_train", counts.documents_train},
                      {"documents_valid", counts.documents_valid}, {"text_bytes", counts.text_bytes},
                      {"tokens", counts.tokens}, {"train_rows", counts.train_rows}, {"valid_rows", counts.valid_rows},
                      {"invalid_utf8", counts.invalid_utf8}, {"nul_bytes", counts.nul_bytes}}},
          {"filters", {{"min_chars", {{"value", config.min_chars}, {"removed", counts.documents_short}}},
                       {"dedup", {{"value", config::enum_words(config.dedup)[static_cast<size_t>(config.dedup)]},
                                  {"removed", counts.documents_duplicate}}}}},
          {"shards", shards}, {"sources", source_list}};
}

PackCounts counts_of_manifest(const fs::path& path) {
  const auto manifest = json::parse(util::read_file(path));
  const auto& stored = manifest.at("counts");
  PackCounts counts;
  counts.documents_read = stored.at("documents_read");
  counts.documents_train = stored.at("documents_train");
  counts.documents_valid = stored.at("documents_valid");
  counts.text_bytes = stored.at("text_bytes");
  counts.tokens = stored.at("tokens");
  counts.train_rows = stored.at("train_rows");
  counts.valid_rows = stored.at("valid_rows");
  counts.invalid_utf8 = stored.at("invalid_utf8");
  counts.nul_bytes = stored.at("nul_bytes");
  counts.documents_short = manifest.at("filters").at("min_chars").at("removed");
  counts.documents_duplicate = manifest.at("filters").at("dedup").at("removed");
  counts.unigram_entropy = manifest.at("unigram_entropy_nats");
  return counts;
}

/// The counts of an earlier identical run, or nullopt if there is work to do. @throws ConfigError on foreign content
std::optional<PackCounts> earlier_result(const fs::path& output, const std::string& request) {
  const fs::path path = output / kManifestFile;
  if (!fs::exists(path)) {
    return std::nullopt;
  }
  try {
    if (json::parse(util::read_file(path)).value("request", "") == request) {
      return counts_of_manifest(path);
    }
  } catch (const json::exception&) {
    // A manifest that cannot be read belongs to nobody: fall through to the refusal.
  }
  throw ConfigError(cat("--output ", output.string(),
                        " holds other data (made with other options or inputs); choose another folder, or give "
                        "--overwrite to replace it"));
}

/// Replaces what the output folder held by the finished partial folder; the manifest goes last.
void publish(const fs::path& partial, const fs::path& output, const json& manifest) {
  fs::remove(output / kManifestFile);
  for (const auto& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("train-") || name.starts_with("valid-") || name == kTokenizerFolder) {
      fs::remove_all(entry.path());
    }
  }
  for (const auto& entry : fs::directory_iterator(partial)) {
    fs::rename(entry.path(), output / entry.path().filename());
  }
  fs::remove(partial);
  util::write_file_atomically(output / kManifestFile, manifest.dump(1) + "\n");
}

/// Removes the partial folder whatever happens.
struct PartialFolder {
  explicit PartialFolder(const fs::path& output) : path(output / kPartialFolder) {
    fs::remove_all(path);
    util::make_writable_directory(path);
  }
  ~PartialFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;
  fs::path path;
};

int64_t total_file_bytes(const std::vector<fs::path>& files) {
  int64_t total = 0;
  for (const fs::path& file : files) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    total += error ? 0 : static_cast<int64_t>(size);
  }
  return total;
}

}  // namespace

PackCounts run_pack(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context) {
  const fs::path output = config.output;
  const auto files = expand_inputs(config.input);
  const std::string request = request_fingerprint(config, tokenizer, files);
  if (!config.overwrite) {
    if (const auto earlier = earlier_result(output, request)) {
      util::log_info("pack", cat(output.string(), " already holds this result; nothing to do"));
      return *earlier;
    }
  }
  util::make_writable_directory(output);
  const util::DirectoryLock lock(output, "pack");
  const PartialFolder partial(output);

  PackCounts counts;
  DocumentReader reader(files);
  SecondPass second(config, tokenizer, partial.path);
  {
    Buckets buckets(partial.path, bytes_per_id(tokenizer.vocab_size()));
    {
      util::Progress progress({.label = "pack", .total = total_file_bytes(files), .style = context.progress});
      FirstPass(config, tokenizer, context, reader, buckets, progress).run(counts);
    }
    buckets.for_each_in_order([&](const PackedDocument& document) { second.add(document, counts); });
  }
  second.finish(counts);
  for (const SourceSummary& source : reader.summaries()) {
    counts.nul_bytes += source.nul_bytes;
  }
  if (counts.train_rows == 0) {
    throw DataError(cat("pack: the input gives no training row of ", config.seq_len, " tokens (", counts.documents_read,
                        " documents, ", counts.tokens, " tokens); give more text or a smaller --seq-len"));
  }
  second.write_token_counts(partial.path / kTokenCountsFile);
  tokenizer.save(partial.path / kTokenizerFolder);
  publish(partial.path, output, manifest_json(config, tokenizer, request, counts, second.shards(), reader.summaries()));
  return counts;
}

}  // namespace bertcram::data
