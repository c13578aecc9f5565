#pragma once
// White space at the ends of valid UTF-8.

#include <string_view>

#include "bertcram/text/unicode.h"

namespace bertcram::text {

/// Bytes of the white space at the end.
inline size_t trailing_white_space(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    size_t begin = text.size() - size - 1;
    while (begin > 0 && is_continuation_byte(text[begin])) {
      --begin;
    }
    if (!is_whitespace(decode_utf8(text.substr(begin)).code_point)) {
      break;
    }
    size = text.size() - begin;
  }
  return size;
}

/// Bytes of the white space at the beginning.
inline size_t leading_white_space(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const DecodedChar c = decode_utf8(text.substr(size));
    if (!is_whitespace(c.code_point)) {
      break;
    }
    size += c.size_bytes;
  }
  return size;
}

}  // namespace bertcram::text
