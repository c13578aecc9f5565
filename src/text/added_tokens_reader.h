#pragma once
// What the files of Hugging Face beside a vocab.txt say of tokens, where no tokenizer.json says it.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bertcram/text/wordpiece_tokenizer.h"
#include "bertcram/util/json_fields.h"

namespace bertcram::text {

/// An empty object where there is no such file.
inline nlohmann::json parse_if_there(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? util::parse_json_file(path) : nlohmann::json::object();
}

struct TokensBesideVocab {
  nlohmann::json names;                    ///< an object with "mask_token" and the like
  std::string where;                       ///< the names stand, for errors
  std::vector<WordPieceLiteral> literals;  ///< each is in the vocabulary
};

/// Reads special_tokens_map.json and added_tokens.json as transformers 5.23 does: not at all where `config` has
/// added_tokens_decoder, otherwise the names of the map go before those of `config`.
/// @param config tokenizer_config.json, or an empty object
/// @throws DataError naming a token that is not in the vocabulary, or would be looked for in other text than here
TokensBesideVocab read_tokens_beside_vocab(const std::filesystem::path& directory, const util::JsonFields& config,
                                           const std::vector<std::string>& vocab);

}  // namespace bertcram::text
