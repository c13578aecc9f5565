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

/// Takes "mask_token" and the like from an object; what it does not name stays.
void read_special_names(const util::JsonFields& fields, SpecialNames& names);

/// Reads special_tokens_map.json and added_tokens.json as transformers 5.23 does: not at all where `config` has
/// added_tokens_decoder, otherwise the names of the map go before those of `config`.
/// @param config  tokenizer_config.json, or an empty object
/// @param special  gets the names of the roles  @return the further tokens, each of which is in the vocabulary
/// @throws DataError naming a token that is not in the vocabulary, or would be looked for in other text than here
std::vector<WordPieceLiteral> read_tokens_beside_vocab(const std::filesystem::path& directory,
                                                       const util::JsonFields& config,
                                                       const std::vector<std::string>& vocab, SpecialNames& special);

}  // namespace bertcram::text
