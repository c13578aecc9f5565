#pragma once
// The vocabulary of a WordPiece or BPE model in tokenizer.json.

#include <string>
#include <vector>

#include "bertcram/util/json_fields.h"

namespace bertcram::text {

/// The tokens of a {"token": id} map in id order; ids must be 0..n-1.
inline std::vector<std::string> read_vocab_map(const util::JsonFields& model) {
  const nlohmann::json* map = model.find("vocab");
  if (map == nullptr || !map->is_object() || map->empty()) {
    model.fail("vocab", "is missing or empty; expected an object of token to id");
  }
  std::vector<std::string> tokens(map->size());
  for (const auto& [token, id] : map->items()) {
    const bool in_range = id.is_number_unsigned() && id.get<uint64_t>() < tokens.size();
    if (!in_range || !tokens[id.get<size_t>()].empty()) {
      model.fail("vocab", cat("gives '", util::excerpt(token), "' the id ", util::JsonFields::shown(id),
                              "; the ids of ", tokens.size(), " tokens must be 0..", tokens.size() - 1, ", each once"));
    }
    tokens[id.get<size_t>()] = token;
  }
  return tokens;
}

}  // namespace bertcram::text
