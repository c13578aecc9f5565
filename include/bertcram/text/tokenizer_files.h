#pragma once
// Tokenizer directories: reading ours and Hugging Face's, writing ours so that Hugging Face reads them
// (docs/formats.md). What would change ids and is not built in is refused by name.

#include <array>
#include <filesystem>

#include "bertcram/text/wordpiece_tokenizer.h"

namespace bertcram::text {

/// The file that is written last and says what the folder is, and the "format" in it.
inline constexpr const char* kTokenizerManifest = "manifest.json";
inline constexpr const char* kTokenizerFormat = "bertcram-tokenizer";

/// Every file of a folder that write_tokenizer_directory made.
inline constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                               "vocab.txt", kTokenizerManifest};

/// Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json, vocab.txt and, last, manifest.json.
/// @param max_tokens  model_max_length in tokenizer_config.json
/// @throws ResourceError if a file cannot be written
void write_tokenizer_directory(const WordPieceTokenizer& tokenizer, const std::filesystem::path& directory,
                               int64_t max_tokens);

/// Reads a Hugging Face tokenizer.json. @throws DataError if it is damaged or not a BERT WordPiece tokenizer
WordPieceDefinition read_tokenizer_json(const std::filesystem::path& path);

/// Reads a directory: tokenizer.json if there is one, otherwise vocab.txt with tokenizer_config.json.
/// @throws DataError if a file is missing or damaged, or two files contradict each other
WordPieceDefinition read_tokenizer_directory(const std::filesystem::path& directory);

}  // namespace bertcram::text
