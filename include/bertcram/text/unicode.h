#pragma once
// Code points and their classes as the BERT tokenizer of Hugging Face `tokenizers` 0.23.3 sees them. That library mixes
// three Unicode versions (categories ≈ 8, decompositions ≈ 9, lower case 16+); the classes here come from utf8proc 2.8
// (Unicode 15) plus the exception ranges of src/text/unicode_exceptions.h, so that every code point is treated equally.
// Pinned by: tests/text/unicode_test.cpp (hash over all code points), tests/text/check_unicode_against_hf.py.

#include <cstdint>
#include <string>
#include <string_view>

namespace bertcram::text {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;
inline constexpr char32_t kLastCodePoint = 0x10FFFF;

struct DecodedChar {
  char32_t code_point;  ///< U+FFFD where the bytes are invalid
  uint32_t size_bytes;  ///< bytes consumed, >= 1
  bool valid;           ///< false where U+FFFD stands for invalid bytes
};

/// decode_utf8 of a character that is not ASCII.
DecodedChar decode_long_utf8(std::string_view text);

/// Decodes the character that starts at `text[0]`. Invalid input becomes U+FFFD, one per maximal subpart, as in the
/// WHATWG encoding standard and Rust's `from_utf8_lossy`. REQUIRES: `text` is not empty.
inline DecodedChar decode_utf8(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  return first < 0x80 ? DecodedChar{first, 1, true} : decode_long_utf8(text);
}

/// Whether the byte is none that a character begins with.
inline bool is_continuation_byte(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// Appends the UTF-8 bytes of a code point in [0, 0x10FFFF].
void append_utf8(char32_t code_point, std::string& out);

/// The code points of `text`; invalid bytes as U+FFFD.
std::u32string to_code_points(std::string_view text);
std::string to_utf8(std::u32string_view code_points);

/// Number of places where `repair_utf8` would put U+FFFD; 0 for valid UTF-8.
int64_t count_invalid_utf8(std::string_view text);
/// `text` with U+FFFD in place of invalid bytes.
std::string repair_utf8(std::string_view text);
/// Number of characters; invalid bytes count as in `repair_utf8`.
int64_t count_chars(std::string_view text);

/// White_Space of Unicode, tab and line ends included.
bool is_whitespace(char32_t c);
/// Categories Cc, Cf, Co, Cs except tab, line feed and carriage return. Unassigned code points are not control.
bool is_control(char32_t c);
/// Whether the text holds white space and control characters alone (U+200B, a byte order mark): BERT's tokenizer makes no
/// token of it.
bool is_blank(std::string_view text);
/// The CJK ideograph ranges of BERT, around which spaces are put.
bool is_cjk(char32_t c);
/// ASCII punctuation and the categories Pc to Po.
bool is_punctuation(char32_t c);
/// Letters, marks and decimal digits (categories L, M and Nd): what words are made of.
bool is_word_character(char32_t c);
/// Categories L and N, as the regular expressions of Hugging Face see them.
bool is_letter(char32_t c);
bool is_number(char32_t c);
/// Category Mn: what accent stripping drops.
bool is_nonspacing_mark(char32_t c);
/// Canonical combining class, 0 for starters.
int canonical_combining_class(char32_t c);

/// Full canonical decomposition of one code point, in canonical order.
std::u32string decompose(char32_t c);
/// Canonical composition (NFC) of valid UTF-8.
std::string compose(std::string_view text);
/// Lower case of one code point without context (final sigma is not special), one or two code points.
std::u32string lowercase(char32_t c);

}  // namespace bertcram::text
