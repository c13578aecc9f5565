#include "bertcram/data/packer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"
#include "buckets.h"
#include "first_pass.h"
#include "near_duplicates.h"
#include "pack_manifest.h"
#include "second_pass.h"
#include "sources.h"
#include "stop_messages.h"
#include "work_folder.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// What the old data in the output folder consists of. Nothing else there is touched.
std::vector<std::string> old_content(const fs::path& output) {
  std::vector<std::string> names = packed_shards(output);
  if (fs::exists(output / kManifestFile)) {
    names.insert(names.end(), {kTokenCountsFile, kTokenizerFolder});
  }
  return names;
}

/// Adds what only the reader knows.
void add_reader_counts(const DocumentReader& reader, PackCounts& counts) {
  for (const SourceSummary& source : reader.summaries()) {
    counts.documents_read += source.documents_left_out;
    counts.documents_left_out += source.documents_left_out;
    counts.nul_bytes += source.nul_bytes;
    counts.bad_records += source.bad_records;
    counts.invalid_utf8 += source.invalid_utf8;
  }
}

/// What of the input became no training text, by the options that say so; empty if nothing did.
std::vector<std::string> removals(const config::PackConfig& config, const PackCounts& counts) {
  const std::pair<int64_t, const char*> rules[] = {
      {counts.documents_left_out, "the weights of the source list"},
      {counts.documents_short,
       config.filters.min_chars > 1 ? "--min-chars" : "the tokenizer, which finds nothing in them"},
      {counts.documents_symbols, "--max-symbols"},
      {counts.documents_repetitive, "--max-repetition"},
      {counts.documents_contaminated, "--decontaminate"},
      {counts.documents_incompressible, "--max-tokens-per-char"},
      {counts.documents_duplicate, "deduplication"},
      {counts.documents_near_duplicate, "--near-duplicates"}};
  std::vector<std::string> parts;
  for (const auto& [removed, rule] : rules) {
    if (removed > 0) {
      parts.push_back(cat(removed, " of ", counts.documents_read, " documents removed by ", rule));
    }
  }
  if (counts.bad_records > 0) {
    parts.push_back(cat(counts.bad_records, counts.bad_records == 1 ? " record" : " records",
                        " without a text in --text-field '", util::excerpt(config.text.text_field), "'"));
  }
  return parts;
}

/// Says why there is no training row, and what helps. @throws DataError
[[noreturn]] void refuse_no_rows(const config::PackConfig& config, const PackCounts& counts) {
  const std::string beginning = cat("pack: the input gives no training row of ", config.seq_len, " tokens (");
  const std::string removed = util::join(removals(config, counts), ", ");
  if (!removed.empty() && counts.tokens == 0) {
    throw DataError(cat(beginning, removed, "); change that, or give other text"));
  }
  const int64_t kept = counts.documents_train + counts.documents_valid;
  const std::string left = cat(kept, kept == 1 ? " document, " : " documents, ", counts.tokens, " tokens); ");
  const std::string advice = "give more text, or rows of fewer tokens (--seq-len of 'bertcram pack')";
  throw DataError(removed.empty() ? cat(beginning, left, advice)
                                  : cat(beginning, removed, "; left: ", left, "change that, ", advice));
}

/// @throws DataError if the result is of no use
void check_rows(const config::PackConfig& config, const PackCounts& counts) {
  if (counts.train_rows == 0 && counts.documents_train == 0 && counts.documents_valid > 0) {
    throw DataError(cat("pack: the only ", counts.documents_valid == 1 ? "document is" : "documents are",
                        " held out; give more text or a smaller --valid-frac"));
  }
  if (counts.valid_rows == 0 && config.valid_frac > 0) {
    util::log_warning("pack", cat("no row is held out: too little text for --valid-frac ", config.valid_frac,
                                  "; with a larger one there will be a held-out loss"));
  }
  if (counts.train_rows == 0) {
    refuse_no_rows(config, counts);
  }
}

/// What is to be done.
struct Job {
  const config::PackConfig& config;
  const text::Tokenizer& tokenizer;
  const PackContext& context;
  InputList inputs;
  std::string request;  ///< identifies all of it but the inputs' content
};

/// Both passes, into the staged folder.
PackCounts pack_into(const fs::path& staging, const Job& job, WorkFolder& work) {
  const config::PackConfig& config = job.config;
  const util::StopFlag& stop = job.context.stop;
  DocumentReader reader(job.inputs, {.input = config.text,
                                     .stop = &stop,
                                     .seed = static_cast<uint64_t>(config.seed),
                                     .start = work.saved().position});
  std::optional<NearDuplicates> near_duplicates;
  if (config.filters.near_duplicates > 0.0) {
    near_duplicates.emplace(work, config.filters.near_duplicates);
  }
  NearDuplicates* const linked = near_duplicates ? &*near_duplicates : nullptr;
  Buckets buckets(work, bytes_per_id(job.tokenizer.vocab_size()));
  PackCounts counts;
  {
    util::Progress progress(
        {.label = "pack", .total = total_file_bytes(job.inputs.paths()), .style = job.context.progress});
    for (const SourceSummary& finished : work.saved().position.finished) {
      progress.add_earlier(finished.file_bytes);
    }
    counts = FirstPass(config, job.tokenizer, job.context, work, buckets, linked).run(reader, progress);
  }
  if (near_duplicates) {
    near_duplicates->link(stop);
  }
  const bool has_copies =
      std::ranges::any_of(job.inputs.sources, [](const auto& source) { return source.weight > 1.0; });
  SecondPass second(config, job.tokenizer, staging, linked, has_copies ? Copies::kSome : Copies::kNone);
  buckets.for_each_in_order([&](const PackedDocument& document) {
    util::throw_if_stopped(stop, kPackStopped);
    second.add(document, counts);
  });
  second.finish(counts);
  add_reader_counts(reader, counts);
  check_rows(config, counts);
  second.write_token_counts(staging / kTokenCountsFile);
  job.tokenizer.save(staging / kTokenizerFolder);
  const json manifest = pack_manifest(config, job.tokenizer, job.request, counts, second.shards(), reader.summaries());
  util::write_file_atomically(staging / kManifestFile, util::json_text(manifest, 1) + "\n");
  return counts;
}

/// Whether the output folder holds every byte that its manifest promises. Reads all of it, as the inputs are read to know
/// them again.
bool is_whole(const fs::path& output, const util::StopFlag& stop) {
  try {
    const PackedManifest manifest = read_packed_manifest(output);
    for (const auto& shards : {manifest.train_shards, manifest.valid_shards}) {
      RowStore(output, shards, manifest).verify(stop);
    }
    read_token_counts(output, manifest);
    return text::is_whole_tokenizer(output / kTokenizerFolder, manifest.tokenizer_fingerprint);
  } catch (const UnreadableError&) {
    throw;
  } catch (const DataError&) {
    return false;
  }
}

/// The counts of an earlier run if the output folder holds its whole result. @throws ConfigError if it holds anything else
std::optional<PackCounts> earlier_result(const Job& job) {
  const fs::path output = job.config.output;
  util::refuse_foreign_folder(output, kPackedFormat, "packed data");
  if (job.config.overwrite) {
    return std::nullopt;
  }
  auto earlier = earlier_pack(output, job.request, job.inputs.paths(), job.context.stop);
  if (earlier && !is_whole(output, job.context.stop)) {
    return std::nullopt;
  }
  if (earlier) {
    util::log_info("pack", cat(output.string(), " already holds this result; nothing to do"));
  }
  return earlier;
}

}  // namespace

PackCounts run_pack(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context) {
  const fs::path output = config.output;
  util::finish_publishing(output, "pack");
  util::refuse_foreign_folder(output, kPackedFormat, "packed data");
  Job job = {.config = config,
             .tokenizer = tokenizer,
             .context = context,
             .inputs = resolve_inputs(config.input, config.text, output),
             .request = {}};
  job.request = pack_request(config, tokenizer, job.inputs);
  if (const auto earlier = earlier_result(job)) {
    WorkFolder::remove_leftover(output);
    return *earlier;
  }
  util::make_writable_directory(output);
  const util::DirectoryLock lock(output, "pack");
  if (const auto earlier = earlier_result(job)) {  // another process may have been quicker
    return *earlier;
  }
  if (!config.overwrite && fs::exists(output / kManifestFile)) {
    util::log_warning("pack", cat(output.string(), ": damaged or incomplete, made again"));
  }
  const std::vector<std::string> obsolete = old_content(output);  // before the work: what is there may be damaged
  util::StagedFolder staged(output);
  WorkFolder work(output, job.request, job.inputs.paths(), config.overwrite ? Foreign::kDrop : Foreign::kRefuse,
                  context.stop);
  try {
    const PackCounts counts = pack_into(staged.staging(), job, work);
    staged.publish(kManifestFile, obsolete);
    work.remove();
    return counts;
  } catch (...) {
    if (work.has_saved()) {
      util::log_info("pack",
                     cat(util::format_count(work.saved().counts.documents_read), " documents are done and kept in ",
                         output.string(), "; the same command on the same files goes on from there"));
    }
    throw;
  }
}

}  // namespace bertcram::data
