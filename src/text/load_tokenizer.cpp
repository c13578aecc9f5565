#include <algorithm>
#include <array>
#include <utility>

#include "bertcram/text/sentencepiece_tokenizer.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json_fields.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"

namespace bertcram::text {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kTypes = {"wordpiece", "unigram", "bpe", kSentencePieceType};

/// A manifest of ours names the type and the fingerprint; both are held against what was read.
void check_manifest_before(const util::JsonFields& manifest) {
  if (const auto version = manifest.get<int64_t>("version", 0); version != 1) {
    throw DataError(cat(manifest.where(), ": version ", version, ", this bertcram reads version 1"));
  }
  if (const auto type = manifest.get<std::string>("type", ""); std::ranges::find(kTypes, type) == kTypes.end()) {
    manifest.fail("type", cat("is '", util::excerpt(type), "'; this bertcram knows wordpiece, unigram, bpe and ",
                              kSentencePieceType));
  }
}

/// spm.model beside a tokenizer.json decides nothing, but goes into copies of the folder.
void check_spm_file(const util::JsonFields& manifest, const fs::path& directory) {
  const auto expected = manifest.get<std::string>("spm_model_xxh3_128", "");
  if (!expected.empty() && util::hash_file(directory / kSpmFile).hex() != expected) {
    throw DataError(cat((directory / kSpmFile).string(), ": other bytes than ", manifest.where(),
                        " says; the file was changed or damaged, train or copy the tokenizer again"));
  }
}

void check_manifest_after(const util::JsonFields& manifest, const Tokenizer& tokenizer) {
  const auto expected = manifest.get<std::string>("fingerprint", "");
  if (tokenizer.fingerprint() != expected) {
    throw DataError(cat(manifest.where(), ": the tokenizer files have fingerprint ", tokenizer.fingerprint(),
                        ", the manifest says ", util::excerpt(expected),
                        "; a file was changed or damaged, train or copy the tokenizer again"));
  }
}

void set_casing(WordPieceDefinition& definition, std::optional<Casing> casing) {
  definition.normalizer.lowercase = casing.value_or(Casing::kUncased) == Casing::kUncased;
  definition.normalizer.strip_accents = definition.normalizer.lowercase;
}

WordPieceDefinition bare_vocab(const fs::path& path, std::optional<Casing> casing) {
  WordPieceDefinition definition;
  definition.vocab = read_vocab_txt(path);
  set_casing(definition, casing);
  return definition;
}

void refuse_casing(const fs::path& path, std::optional<Casing> casing) {
  if (casing) {
    throw ConfigError(cat("--cased is only for a bare vocab.txt: ", path.string(),
                          " says itself how it treats case; leave the option out"));
  }
}

/// @param directory whose other files are read too; empty: only the file itself
std::unique_ptr<Tokenizer> load_json(const fs::path& path, const fs::path& directory) {
  {
    const nlohmann::json document = util::parse_json_file(path);
    if (is_subword_json(document, path.string())) {
      SubwordDefinition definition = read_subword_json(document, path.string(), directory);
      if (!directory.empty() && fs::exists(directory / kSpmFile)) {
        definition.spm_model = util::read_file(directory / kSpmFile);
      }
      return std::make_unique<SubwordTokenizer>(std::move(definition), path.string());
    }
  }
  return directory.empty()
             ? std::make_unique<WordPieceTokenizer>(read_tokenizer_json(path), path.string())
             : std::make_unique<WordPieceTokenizer>(read_tokenizer_directory(directory), directory.string());
}

std::unique_ptr<Tokenizer> load_spm(const fs::path& path) {
  return std::make_unique<SentencePieceTokenizer>(util::read_file(path), path.string());
}

std::unique_ptr<Tokenizer> load_directory(const fs::path& directory, std::optional<Casing> casing) {
  const bool has_config = fs::exists(directory / "tokenizer.json") || fs::exists(directory / "tokenizer_config.json");
  if (!has_config && !fs::exists(directory / "vocab.txt")) {
    const fs::path inside = directory / "tokenizer";  // of packed data
    throw DataError(cat(directory.string(), ": no tokenizer here; ",
                        fs::exists(inside / "tokenizer_config.json")
                            ? cat("did you mean ", inside.string(), "?")
                            : "expected tokenizer.json, or vocab.txt with tokenizer_config.json (written by 'bertcram "
                              "tokenize')"));
  }
  if (!has_config) {
    WordPieceDefinition definition = read_tokenizer_directory(directory);
    set_casing(definition, casing);
    return std::make_unique<WordPieceTokenizer>(std::move(definition), (directory / "vocab.txt").string());
  }
  refuse_casing(directory, casing);
  if (fs::exists(directory / "tokenizer.json")) {
    return load_json(directory / "tokenizer.json", directory);
  }
  if (!fs::exists(directory / kVocabFile)) {
    throw DataError(cat(directory.string(),
                        ": neither tokenizer.json nor vocab.txt here; give a SentencePiece model by its own name, or "
                        "save the folder with AutoTokenizer.from_pretrained(…).save_pretrained(…)"));
  }
  return std::make_unique<WordPieceTokenizer>(read_tokenizer_directory(directory), directory.string());
}

/// A tokenizer's manifest, where there is one, must agree with the files beside it; others say nothing about it.
std::unique_ptr<Tokenizer> load_checked_directory(const fs::path& directory, std::optional<Casing> casing) {
  const fs::path path = directory / kTokenizerManifest;
  if (!fs::exists(path)) {
    return load_directory(directory, casing);
  }
  const nlohmann::json document = util::parse_json_file(path);
  const util::JsonFields manifest(document, path.string());
  if (manifest.get<std::string>("format", "") != kTokenizerFormat) {
    return load_directory(directory, casing);
  }
  check_manifest_before(manifest);
  check_spm_file(manifest, directory);
  if (manifest.get<std::string>("type", "") == kSentencePieceType) {
    refuse_casing(directory, casing);
    std::unique_ptr<Tokenizer> tokenizer = load_spm(directory / kSpmFile);
    check_manifest_after(manifest, *tokenizer);
    return tokenizer;
  }
  std::unique_ptr<Tokenizer> tokenizer = load_directory(directory, casing);
  check_manifest_after(manifest, *tokenizer);
  return tokenizer;
}

}  // namespace

bool has_tokenizer_files(const fs::path& directory) {
  const auto exists = [&](const char* name) { return fs::exists(directory / name); };
  if (!exists(kTokenizerManifest) || !exists("tokenizer.json") || !exists("tokenizer_config.json") ||
      !exists("special_tokens_map.json")) {
    return false;
  }
  const auto manifest = util::try_parse_json(util::read_file(directory / kTokenizerManifest));
  const bool is_wordpiece = util::text_member(manifest, "type") == "wordpiece";
  return exists(is_wordpiece ? kVocabFile : "tokenizer.json") &&
         (util::text_member(manifest, "spm_model_xxh3_128").empty() || exists(kSpmFile));
}

bool is_whole_tokenizer(const fs::path& directory, const std::string& fingerprint) {
  try {
    if (!has_tokenizer_files(directory)) {
      return false;
    }
    const auto tokenizer = load_tokenizer(directory, std::nullopt);
    const auto* const wordpiece = dynamic_cast<const WordPieceTokenizer*>(tokenizer.get());
    for (const char* file : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}) {
      static_cast<void>(util::parse_json_file(directory / file));  // not every kind reads all of them
    }
    const auto manifest = util::parse_json_file(directory / kTokenizerManifest);
    return tokenizer->fingerprint() == fingerprint && util::text_member(manifest, "format") == kTokenizerFormat &&
           (wordpiece == nullptr ||  // nor does anybody vocab.txt beside tokenizer.json
            util::read_file(directory / kVocabFile) == util::join(wordpiece->vocabulary().tokens(), "\n") + "\n");
  } catch (const UnreadableError&) {
    throw;
  } catch (const DataError&) {
    return false;
  }
}

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
    return load_json(path, {});
  }
  if (path.extension() == ".model") {
    refuse_casing(path, casing_of_bare_vocab);
    return load_spm(path);
  }
  return std::make_unique<WordPieceTokenizer>(bare_vocab(path, casing_of_bare_vocab), path.string());
}

}  // namespace bertcram::text
