#include <utility>

#include "bertcram/text/tokenizer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/staged_folder.h"
#include "json_fields.h"

namespace bertcram::text {
namespace {

namespace fs = std::filesystem;

/// A manifest of ours names the type and the fingerprint; both are held against what was read.
void check_manifest_before(const JsonFields& manifest) {
  if (const auto version = manifest.get<int64_t>("version", 0); version != 1) {
    throw DataError(cat(manifest.where(), ": version ", version, ", this bertcram reads version 1"));
  }
  manifest.require<std::string>("type", "wordpiece", "");
}

void check_manifest_after(const JsonFields& manifest, const Tokenizer& tokenizer) {
  const auto expected = manifest.get<std::string>("fingerprint", "");
  if (tokenizer.fingerprint() != expected) {
    throw DataError(cat(manifest.where(), ": the tokenizer files have fingerprint ", tokenizer.fingerprint(),
                        ", the manifest says ", util::excerpt(expected),
                        "; a file was changed or damaged, train or copy the tokenizer again"));
  }
}

WordPieceDefinition bare_vocab(const fs::path& path, std::optional<Casing> casing) {
  WordPieceDefinition definition;
  definition.vocab = read_vocab_txt(path);
  definition.normalizer.lowercase = casing.value_or(Casing::kUncased) == Casing::kUncased;
  definition.normalizer.strip_accents = definition.normalizer.lowercase;
  return definition;
}

void refuse_casing(const fs::path& path, std::optional<Casing> casing) {
  if (casing) {
    throw ConfigError(cat("--cased is only for a bare vocab.txt: ", path.string(),
                          " says itself how it treats case; leave the option out"));
  }
}

std::unique_ptr<Tokenizer> load_directory(const fs::path& directory, std::optional<Casing> casing) {
  const bool has_config = fs::exists(directory / "tokenizer.json") || fs::exists(directory / "tokenizer_config.json");
  if (!has_config && !fs::exists(directory / "vocab.txt")) {
    throw DataError(cat(directory.string(),
                        ": no tokenizer here; expected tokenizer.json, or vocab.txt with "
                        "tokenizer_config.json (written by 'bertcram tokenize')"));
  }
  if (!has_config) {
    return std::make_unique<WordPieceTokenizer>(bare_vocab(directory / "vocab.txt", casing),
                                                (directory / "vocab.txt").string());
  }
  refuse_casing(directory, casing);
  return std::make_unique<WordPieceTokenizer>(read_tokenizer_directory(directory), directory.string());
}

/// A tokenizer's manifest, where there is one, must agree with the files beside it; others say nothing about it.
std::unique_ptr<Tokenizer> load_checked_directory(const fs::path& directory, std::optional<Casing> casing) {
  const fs::path path = directory / kTokenizerManifest;
  if (!fs::exists(path)) {
    return load_directory(directory, casing);
  }
  const nlohmann::json document = parse_json_file(path);
  const JsonFields manifest(document, path.string());
  if (manifest.get<std::string>("format", "") != kTokenizerFormat) {
    return load_directory(directory, casing);
  }
  check_manifest_before(manifest);
  std::unique_ptr<Tokenizer> tokenizer = load_directory(directory, casing);
  check_manifest_after(manifest, *tokenizer);
  return tokenizer;
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& path, std::optional<Casing> casing_of_bare_vocab) {
  if (!fs::exists(path)) {
    throw DataError(cat(path.string(), ": no such file or directory; expected a tokenizer directory or a vocab.txt"));
  }
  if (fs::is_directory(path)) {
    util::refuse_half_published(path);
    return load_checked_directory(path, casing_of_bare_vocab);
  }
  if (path.extension() == ".json") {
    refuse_casing(path, casing_of_bare_vocab);
    return std::make_unique<WordPieceTokenizer>(read_tokenizer_json(path), path.string());
  }
  if (path.extension() == ".model") {
    throw DataError(cat(path.string(),
                        ": SentencePiece models are not supported yet; give a WordPiece tokenizer "
                        "directory or a vocab.txt"));
  }
  return std::make_unique<WordPieceTokenizer>(bare_vocab(path, casing_of_bare_vocab), path.string());
}

}  // namespace bertcram::text
