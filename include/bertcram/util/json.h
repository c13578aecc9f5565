#pragma once
// What every reader and writer of JSON needs.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace bertcram::util {

/// Parses text of at most 128 levels of lists and objects, as serde_json does, with which Hugging Face reads: to copy, compare
/// or write what is deeper would exhaust the stack.
/// @throws nlohmann::json::exception for anything else
nlohmann::json parse_json(std::string_view text);

/// The same for text that may be damaged or half written; null instead of an error.
nlohmann::json try_parse_json(std::string_view text);

/// The text of a document; bytes that are no UTF-8 (a file name may hold any) become U+FFFD.
/// @param indent  spaces per level; -1 = everything on one line
std::string json_text(const nlohmann::json& document, int indent = -1);

/// Text as json_text writes it: bytes that are no UTF-8 become U+FFFD.
std::string valid_utf8(const std::string& text);

/// What a JSON library says of damaged input, without its tag `[json.exception.…]`.
std::string json_error_text(std::string_view what);

/// `object[key]` if `object` is an object and the value there is text, otherwise an empty string.
std::string text_member(const nlohmann::json& object, const char* key);

}  // namespace bertcram::util
