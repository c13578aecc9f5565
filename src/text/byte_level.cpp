#include "byte_level.h"

#include <array>

#include "bertcram/text/unicode.h"

namespace bertcram::text {
namespace {

enum class Kind { kLetter, kNumber, kSpace, kOther };

Kind kind_of(char32_t c) {
  if (is_letter(c)) {
    return Kind::kLetter;
  }
  if (is_number(c)) {
    return Kind::kNumber;
  }
  return is_whitespace(c) ? Kind::kSpace : Kind::kOther;
}

/// End of the run of characters of one kind that begins at `at`.
size_t run_end(std::string_view text, size_t at, Kind kind) {
  while (at < text.size()) {
    const DecodedChar decoded = decode_utf8(text.substr(at));
    if (kind_of(decoded.code_point) != kind) {
      break;
    }
    at += decoded.size_bytes;
  }
  return at;
}

/// Bytes of "'s", "'re", … at the beginning, or 0.
size_t contraction_bytes(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(ending)) {
      return ending.size();
    }
  }
  return 0;
}

/// A run of white space leaves its last character to the word behind it.
size_t space_bytes(std::string_view text, size_t from) {
  const size_t end = run_end(text, from, Kind::kSpace);
  if (end == text.size()) {
    return end - from;
  }
  size_t last = end - 1;
  while (is_continuation_byte(text[last])) {
    --last;
  }
  return last == from ? end - from : last - from;
}

struct ByteTable {
  std::array<char32_t, 256> character_of{};
  std::array<int, 0x200> byte_of{};  ///< -1: stands for none
};

/// Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 and up, in order.
ByteTable make_table() {
  ByteTable table;
  table.byte_of.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_visible =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
    const char32_t character = is_visible ? static_cast<char32_t>(byte) : next++;
    table.character_of[static_cast<size_t>(byte)] = character;
    table.byte_of[character] = byte;
  }
  return table;
}

const ByteTable kTable = make_table();

}  // namespace

size_t byte_level_word_bytes(std::string_view text, size_t from) {
  if (const size_t bytes = contraction_bytes(text.substr(from)); bytes > 0) {
    return bytes;
  }
  const size_t begin = from + (text[from] == ' ' && from + 1 < text.size() ? 1 : 0);
  const Kind kind = kind_of(decode_utf8(text.substr(begin)).code_point);
  return kind == Kind::kSpace ? space_bytes(text, from) : run_end(text, begin, kind) - from;
}

std::string spell_bytes(std::string_view word) {
  std::string spelt;
  spelt.reserve(word.size() * 2);
  for (const char byte : word) {
    append_utf8(kTable.character_of[static_cast<unsigned char>(byte)], spelt);
  }
  return spelt;
}

void append_spelt_bytes(std::string_view piece, std::string& out) {
  std::string bytes;
  for (std::string_view rest = piece; !rest.empty();) {
    const DecodedChar decoded = decode_utf8(rest);
    const int byte = decoded.code_point < kTable.byte_of.size() ? kTable.byte_of[decoded.code_point] : -1;
    if (byte < 0) {
      out += piece;
      return;
    }
    bytes += static_cast<char>(byte);
    rest.remove_prefix(decoded.size_bytes);
  }
  out += bytes;
}

}  // namespace bertcram::text
