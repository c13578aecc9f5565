#pragma once
// Tokenizer directories: reading ours and Hugging Face's, writing ours so that Hugging Face reads them
// (docs/formats.md). What would change ids and is not built in is refused by name.

#include <array>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "bertcram/text/spm_model.h"
#include "bertcram/text/subword_tokenizer.h"
#include "bertcram/text/wordpiece_tokenizer.h"

namespace bertcram::text {

/// The file that is written last and says what the folder is, and the "format" in it.
inline constexpr const char* kTokenizerManifest = "manifest.json";
inline constexpr const char* kTokenizerFormat = "bertcram-tokenizer";

/// Further files of a tokenizer directory; which of the last two there is depends on the kind.
inline constexpr const char* kVocabFile = "vocab.txt";
inline constexpr const char* kSpmFile = "spm.model";
inline constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                               kVocabFile, kSpmFile};

/// Whether the folder has a manifest of ours and every file that belongs to it.
bool has_tokenizer_files(const std::filesystem::path& directory);

/// Whether the folder has all of these undamaged: it loads, with this fingerprint, and vocab.txt says the same.
/// @throws UnreadableError
bool is_whole_tokenizer(const std::filesystem::path& directory, const std::string& fingerprint);

/// Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json, vocab.txt and, last, manifest.json.
/// @param input  model_max_length and model_input_names in tokenizer_config.json
/// @throws ResourceError if a file cannot be written
void write_tokenizer_directory(const WordPieceTokenizer& tokenizer, const std::filesystem::path& directory,
                               const ModelInput& input);

/// Reads a Hugging Face tokenizer.json. @throws DataError if it is damaged or not a BERT WordPiece tokenizer
WordPieceDefinition read_tokenizer_json(const std::filesystem::path& path);

/// Reads a directory: tokenizer.json if there is one, otherwise vocab.txt with the tokens and options beside it.
/// @throws DataError if a file is missing or damaged, or two files contradict each other
WordPieceDefinition read_tokenizer_directory(const std::filesystem::path& directory);

/// What a directory's manifest calls a tokenizer that the SentencePiece library defines.
inline constexpr const char* kSentencePieceType = "sentencepiece";

/// The same for a unigram or BPE tokenizer; spm.model, where there is one, instead of vocab.txt.
void write_subword_directory(const Tokenizer& tokenizer, const SubwordDefinition& definition,
                             const std::filesystem::path& directory, const ModelInput& input);

/// The same for a tokenizer that the SentencePiece library defines: spm.model decides, tokenizer.json says it to others.
/// @throws DataError if tokenizer.json cannot say it
void write_sentencepiece_directory(const Tokenizer& tokenizer, const std::string& spm_model, const std::string& origin,
                                   const std::filesystem::path& directory, const ModelInput& input);

/// Whether the model in a tokenizer.json is for read_subword_json (Unigram or BPE).
/// @throws DataError if it is of a type that is not supported at all
bool is_subword_json(const nlohmann::json& document, const std::string& where);

/// Reads a tokenizer.json of type Unigram or BPE, and what the files beside it say of special tokens.
/// @param directory where those files are; empty: nowhere
/// @throws DataError if it is damaged or asks for what is not built in
SubwordDefinition read_subword_json(const nlohmann::json& document, const std::string& where,
                                    const std::filesystem::path& directory);

/// What of a SentencePiece model no tokenizer.json says without giving other ids, as the beginning of a sentence.
std::optional<std::string> unsayable_in_json(const SpmModel& model);

/// The tokenizer.json that gives the ids of a SentencePiece model.
/// @throws DataError naming what tokenizer.json cannot say
nlohmann::json subword_json(const SpmModel& model, const SpecialRoles& roles, const std::string& origin);

/// Roles by the usual names among the pieces that text never spells (control and unknown ones).
SpecialRoles roles_of(const SpmModel& model);

}  // namespace bertcram::text
