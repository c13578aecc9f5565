#include "bertcram/util/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bertcram/util/error.h"

namespace bertcram::util {
namespace {

constexpr int64_t kMostLevels = 128;

/// Levels of lists and objects in each other; brackets within strings do not count.
int64_t nesting_depth(std::string_view text) {
  int64_t depth = 0;
  int64_t deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      i += c == '\\' ? 1 : 0;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

nlohmann::json parse_json(std::string_view text) {
  if (const int64_t depth = nesting_depth(text); depth > kMostLevels) {
    throw nlohmann::json::other_error::create(
        501, cat("lists and objects in each other ", depth, " deep; at most ", kMostLevels, " levels are supported"),
        nullptr);
  }
  return nlohmann::json::parse(text);
}

nlohmann::json try_parse_json(std::string_view text) {
  if (nesting_depth(text) > kMostLevels) {
    return {};
  }
  nlohmann::json found = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return found.is_discarded() ? nlohmann::json() : found;
}

std::string json_text(const nlohmann::json& document, int indent) {
  return document.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string valid_utf8(const std::string& text) { return parse_json(json_text(text)).get<std::string>(); }

std::string json_error_text(std::string_view what) {
  const size_t end = what.starts_with("[json.exception") ? what.find("] ") : std::string_view::npos;
  return std::string(end == std::string_view::npos ? what : what.substr(end + 2));
}

std::string text_member(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) {
    return {};
  }
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace bertcram::util
