#include "bertcram/data/packer.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "bertcram/data/packed_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/staged_folder.h"
#include "buckets.h"
#include "first_pass.h"
#include "near_duplicates.h"
#include "pack_manifest.h"
#include "pack_stop.h"
#include "second_pass.h"
#include "sources.h"

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

}  // namespace

PackCounts run_pack(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context) {
  const fs::path output = config.output;
  const InputList inputs = resolve_inputs(config.input, config.text);
  const auto files = inputs.paths();
  const std::string request = pack_request(config, tokenizer, inputs);
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
  DocumentReader reader(inputs,
                        {.input = config.text, .stop = &context.stop, .seed = static_cast<uint64_t>(config.seed)});
  std::optional<NearDuplicates> near_duplicates;
  if (config.filters.near_duplicates > 0.0) {
    near_duplicates.emplace(staged.staging(), config.filters.near_duplicates);
  }
  NearDuplicates* const linked = near_duplicates ? &*near_duplicates : nullptr;
  SecondPass second(config, tokenizer, staged.staging(), linked);
  {
    Buckets buckets(staged.staging(), bytes_per_id(tokenizer.vocab_size()));
    {
      util::Progress progress({.label = "pack", .total = total_file_bytes(files), .style = context.progress});
      FirstPass(config, tokenizer, context, buckets, linked).run(reader, progress, counts);
    }
    if (near_duplicates) {
      near_duplicates->link(context.stop);
    }
    buckets.for_each_in_order([&](const PackedDocument& document) {
      stop_packing_if_asked(context.stop);
      second.add(document, counts);
    });
  }
  second.finish(counts);
  for (const SourceSummary& source : reader.summaries()) {
    counts.documents_read += source.documents_left_out;
    counts.documents_left_out += source.documents_left_out;
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
