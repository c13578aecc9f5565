#include "pack_manifest.h"

#include <nlohmann/json.hpp>

#include "bertcram/config/resolve.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "sources.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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
  counts.bad_records = stored.value("bad_records", int64_t{0});
  counts.documents_short = manifest.at("filters").at("min_chars").at("removed");
  counts.documents_duplicate = manifest.at("filters").at("dedup").at("removed");
  counts.unigram_entropy = manifest.at("unigram_entropy_nats");
  return counts;
}

}  // namespace

std::string pack_request(const config::PackConfig& config, const text::Tokenizer& tokenizer) {
  config::PackConfig copy = config;
  return util::hash128(config::fingerprint(config::fields_of(copy)) + tokenizer.fingerprint()).hex();
}

json pack_manifest(const config::PackConfig& config, const text::Tokenizer& tokenizer, const std::string& request,
                   const PackCounts& counts, const json& shards, const std::vector<SourceSummary>& sources) {
  const auto& special = tokenizer.special();
  return {{"format", kPackedFormat},
          {"version", kPackedVersion},
          {"request", request},
          {"seq_len", config.seq_len},
          {"seed", config.seed},
          {"valid_frac", config.valid_frac},
          {"tokenizer_fingerprint", tokenizer.fingerprint()},
          {"vocab_size", tokenizer.vocab_size()},
          {"special_ids",
           {{"pad", special.pad},
            {"unk", special.unk},
            {"cls", special.cls},
            {"sep", special.sep},
            {"mask", special.mask}}},
          {"unigram_entropy_nats", counts.unigram_entropy},
          {"counts",
           {{"documents_read", counts.documents_read},
            {"documents_train", counts.documents_train},
            {"documents_valid", counts.documents_valid},
            {"text_bytes", counts.text_bytes},
            {"tokens", counts.tokens},
            {"train_rows", counts.train_rows},
            {"valid_rows", counts.valid_rows},
            {"invalid_utf8", counts.invalid_utf8},
            {"nul_bytes", counts.nul_bytes},
            {"bad_records", counts.bad_records}}},
          {"filters",
           {{"min_chars", {{"value", config.min_chars}, {"removed", counts.documents_short}}},
            {"dedup",
             {{"value", config::enum_words(config.dedup)[static_cast<size_t>(config.dedup)]},
              {"removed", counts.documents_duplicate}}}}},
          {"shards", shards},
          {"sources", to_json(sources)}};
}

std::vector<std::string> packed_shards(const fs::path& output) {
  std::vector<std::string> names;
  if (fs::exists(output / kManifestFile)) {
    const json stored = json::parse(util::read_file(output / kManifestFile), nullptr, /*allow_exceptions=*/false);
    const json shards = stored.is_object() ? stored.value("shards", json::array()) : json::array();
    for (const json& shard : shards) {
      const fs::path name = shard.is_object() ? shard.value("file", "") : "";
      if (name.extension() == ".bin" && !name.has_parent_path()) {
        names.push_back(name.string());
      }
    }
  }
  return names;
}

std::optional<PackCounts> earlier_pack(const fs::path& output, const std::string& request,
                                       const std::vector<fs::path>& files) {
  const fs::path path = output / kManifestFile;
  if (!fs::exists(path)) {
    return std::nullopt;
  }
  try {
    const json manifest = json::parse(util::read_file(path));
    if (manifest.value("request", "") == request && are_same_sources(manifest.at("sources"), files)) {
      return counts_of_manifest(path);
    }
  } catch (const json::exception&) {
    // A manifest that cannot be read belongs to nobody: fall through to the refusal.
  }
  throw ConfigError(cat("--output ", output.string(),
                        " holds other data (made with other options or inputs); choose another folder, or give "
                        "--overwrite to replace it"));
}

}  // namespace bertcram::data
