#pragma once

#include <string>
#include <string_view>

namespace bertcram::util {

/// What a JSON library says of damaged input, without its tag `[json.exception.…]`.
inline std::string json_error_text(std::string_view what) {
  const size_t end = what.starts_with("[json.exception") ? what.find("] ") : std::string_view::npos;
  return std::string(end == std::string_view::npos ? what : what.substr(end + 2));
}

}  // namespace bertcram::util
