#include "pack_manifest.h"

#include <nlohmann/json.hpp>

#include "bertcram/config/resolve.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "sources.h"

namespace bertcram::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

PackCounts counts_of_manifest(const fs::path& path) {
  const auto manifest = util::parse_json(util::read_file(path));
  PackCounts counts;
  for (const auto& [name, field] : PackCounts::fields()) {
    counts.*field = manifest.at("counts").value(std::string(name), int64_t{0});  // some are younger than the file
  }
  counts.unigram_entropy = manifest.at("unigram_entropy_nats");
  return counts;
}

json counts_json(const PackCounts& counts) {
  json object;
  for (const auto& [name, field] : PackCounts::fields()) {
    object[std::string(name)] = counts.*field;
  }
  return object;
}

/// Each rule with its setting and what it removed.
json filters_json(const config::PackConfig& config, const PackCounts& counts) {
  const config::FilterConfig& filters = config.filters;
  const auto rule = [](const json& value, int64_t removed) { return json{{"value", value}, {"removed", removed}}; };
  return {
      {"min_chars", rule(filters.min_chars, counts.documents_short)},
      {"max_symbols", rule(filters.max_symbols, counts.documents_symbols)},
      {"max_repetition", rule(filters.max_repetition, counts.documents_repetitive)},
      {"max_tokens_per_char", rule(filters.max_tokens_per_char, counts.documents_incompressible)},
      {"decontaminate", rule(filters.decontaminate, counts.documents_contaminated)},
      {"dedup", rule(config::enum_words(config.dedup)[static_cast<size_t>(config.dedup)], counts.documents_duplicate)},
      {"near_duplicates", rule(filters.near_duplicates, counts.documents_near_duplicate)},
      {"duplicate_paragraphs", rule(filters.duplicate_paragraphs, counts.paragraphs_duplicate)}};
}

}  // namespace

std::span<const std::pair<std::string_view, int64_t PackCounts::*>> PackCounts::fields() {
  static constexpr std::pair<std::string_view, int64_t PackCounts::*> kFields[] = {
      {"documents_read", &PackCounts::documents_read},
      {"documents_left_out", &PackCounts::documents_left_out},
      {"documents_short", &PackCounts::documents_short},
      {"documents_symbols", &PackCounts::documents_symbols},
      {"documents_repetitive", &PackCounts::documents_repetitive},
      {"documents_contaminated", &PackCounts::documents_contaminated},
      {"documents_incompressible", &PackCounts::documents_incompressible},
      {"documents_duplicate", &PackCounts::documents_duplicate},
      {"documents_near_duplicate", &PackCounts::documents_near_duplicate},
      {"paragraphs_duplicate", &PackCounts::paragraphs_duplicate},
      {"documents_repeated", &PackCounts::documents_repeated},
      {"documents_train", &PackCounts::documents_train},
      {"documents_valid", &PackCounts::documents_valid},
      {"text_bytes", &PackCounts::text_bytes},
      {"invalid_utf8", &PackCounts::invalid_utf8},
      {"nul_bytes", &PackCounts::nul_bytes},
      {"bad_records", &PackCounts::bad_records},
      {"tokens", &PackCounts::tokens},
      {"train_rows", &PackCounts::train_rows},
      {"valid_rows", &PackCounts::valid_rows}};
  return kFields;
}

PackCounts& PackCounts::operator+=(const PackCounts& other) {
  for (const auto& [name, field] : fields()) {
    this->*field += other.*field;
  }
  return *this;
}

std::string pack_request(const config::PackConfig& config, const text::Tokenizer& tokenizer, const InputList& inputs) {
  config::PackConfig copy = config;
  std::string request =
      config::fingerprint(config::fields_of(copy)) + tokenizer.fingerprint() + fingerprint(inputs, config.text);
  if (!config.filters.decontaminate.empty()) {
    for (const fs::path& file : expand_inputs("--decontaminate", config.filters.decontaminate)) {
      request += util::hash_file(file).hex();
    }
  }
  return util::hash128(request).hex();
}

json pack_manifest(const config::PackConfig& config, const text::Tokenizer& tokenizer, const std::string& request,
                   const PackCounts& counts, const json& shards, const std::vector<SourceSummary>& sources) {
  const auto& special = tokenizer.special();
  return {{"format", kPackedFormat},
          {"version", kPackedVersion},
          {"request", request},
          {"seq_len", config.seq_len},
          {"order", config::enum_words(config.order)[static_cast<size_t>(config.order)]},
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
          {"counts", counts_json(counts)},
          {"filters", filters_json(config, counts)},
          {"shards", shards},
          {"sources", to_json(sources)}};
}

std::vector<std::string> packed_shards(const fs::path& output) {
  std::vector<std::string> names;
  if (fs::exists(output / kManifestFile)) {
    const json stored = util::try_parse_json(util::read_file(output / kManifestFile));
    const json shards = stored.is_object() ? stored.value("shards", json::array()) : json::array();
    for (const json& shard : shards) {
      const fs::path name = util::text_member(shard, "file");
      if (name.extension() == ".bin" && !name.has_parent_path()) {
        names.push_back(name.string());
      }
    }
  }
  return names;
}

std::optional<PackCounts> earlier_pack(const fs::path& output, const std::string& request,
                                       const std::vector<fs::path>& files, const util::StopFlag& stop) {
  const fs::path path = output / kManifestFile;
  if (!fs::exists(path)) {
    return std::nullopt;
  }
  try {
    const json manifest = util::parse_json(util::read_file(path));
    if (manifest.value("request", "") == request && are_same_sources(manifest.at("sources"), files, stop)) {
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
