#pragma once

#include <string>

#include "bertcram/util/json_fields.h"

namespace bertcram::text {

/// A token in tokenizer_config.json or special_tokens_map.json: a string or {"content": …}.
inline std::string read_named_token(const util::JsonFields& fields, const std::string& key,
                                    const std::string& fallback) {
  const nlohmann::json* value = fields.find(key);
  if (value != nullptr && value->is_object()) {
    return fields.object(key).get("content", fallback);
  }
  return fields.get(key, fallback);
}

}  // namespace bertcram::text
