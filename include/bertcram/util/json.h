#pragma once
// What every reader and writer of JSON needs.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace bertcram::util {

/// The text of a document; bytes that are no UTF-8 (a file name may hold any) become U+FFFD.
/// @param indent  spaces per level; -1 = everything on one line
std::string json_text(const nlohmann::json& document, int indent = -1);

/// What a JSON library says of damaged input, without its tag `[json.exception.…]`.
std::string json_error_text(std::string_view what);

/// `object[key]` if `object` is an object and the value there is text, otherwise an empty string.
std::string text_member(const nlohmann::json& object, const char* key);

}  // namespace bertcram::util
