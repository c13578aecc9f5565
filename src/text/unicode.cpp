#include "bertcram/text/unicode.h"

#include <simdjson.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "bertcram/util/error.h"
#include "unicode_exceptions.h"

namespace bertcram::text {
namespace {

bool contains(std::span<const CodePointRange> ranges, char32_t c) {
  const auto range = std::ranges::lower_bound(ranges, c, {}, &CodePointRange::last);
  return range != ranges.end() && range->first <= c;
}

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

struct LeadByte {
  uint32_t size_bytes;       // 0: no character starts with this byte
  unsigned char second_min;  // bounds of the second byte exclude overlong forms, surrogates and > U+10FFFF
  unsigned char second_max;
};

LeadByte classify_lead(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

template <class Visit>
void for_each_char(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const DecodedChar decoded = decode_utf8(text);
    visit(decoded);
    text.remove_prefix(decoded.size_bytes);
  }
}

}  // namespace

DecodedChar decode_long_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const LeadByte lead = classify_lead(first);
  if (lead.size_bytes == 0 || text.size() < 2 || byte(1) < lead.second_min || byte(1) > lead.second_max) {
    return {kReplacementCharacter, 1, false};
  }
  char32_t code_point = (first & (0x7Fu >> lead.size_bytes)) << 6 | (byte(1) & 0x3Fu);
  for (uint32_t i = 2; i < lead.size_bytes; ++i) {
    if (i >= text.size() || (byte(i) & 0xC0u) != 0x80u) {
      return {kReplacementCharacter, i, false};
    }
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
  }
  return {code_point, lead.size_bytes, true};
}

void append_utf8(char32_t c, std::string& out) {
  const auto push = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | c >> 6);
    push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | c >> 12);
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | c >> 18);
    push(0x80 | (c >> 12 & 0x3F));
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  }
}

std::u32string to_code_points(std::string_view text) {
  std::u32string code_points;
  for_each_char(text, [&](const DecodedChar& decoded) { code_points.push_back(decoded.code_point); });
  return code_points;
}

std::string to_utf8(std::u32string_view code_points) {
  std::string text;
  for (const char32_t c : code_points) {
    append_utf8(c, text);
  }
  return text;
}

int64_t count_invalid_utf8(std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) {
    return 0;
  }
  int64_t count = 0;
  for_each_char(text, [&](const DecodedChar& decoded) { count += decoded.valid ? 0 : 1; });
  return count;
}

std::string repair_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  for_each_char(text, [&](const DecodedChar& decoded) { append_utf8(decoded.code_point, repaired); });
  return repaired;
}

int64_t count_chars(std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) {
    return std::ranges::count_if(text, [](char byte) { return !is_continuation_byte(byte); });
  }
  int64_t count = 0;
  for_each_char(text, [&](const DecodedChar&) { ++count; });
  return count;
}

bool is_whitespace(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return (c >= 0x09 && c <= 0x0D) || c == 0x85 || (kind >= UTF8PROC_CATEGORY_ZS && kind <= UTF8PROC_CATEGORY_ZP);
}

bool is_control(char32_t c) {
  if (c == U'\t' || c == U'\n' || c == U'\r') {
    return false;
  }
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_CC && kind <= UTF8PROC_CATEGORY_CO && !contains(kNotControl, c);
}

bool is_blank(std::string_view text) {
  while (!text.empty()) {
    const DecodedChar next = decode_utf8(text);
    if (!is_whitespace(next.code_point) && !is_control(next.code_point)) {
      return false;
    }
    text.remove_prefix(next.size_bytes);
  }
  return true;
}

bool is_cjk(char32_t c) {
  constexpr std::array<CodePointRange, 8> kIdeographs = {{{0x3400, 0x4DBF},
                                                          {0x4E00, 0x9FFF},
                                                          {0xF900, 0xFAFF},
                                                          {0x20000, 0x2A6DF},
                                                          {0x2A700, 0x2B73F},
                                                          {0x2B740, 0x2B81F},
                                                          {0x2B920, 0x2CEAF},  // BERT says 2B820; HF has this typo
                                                          {0x2F800, 0x2FA1F}}};
  return contains(kIdeographs, c);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
  }
  const utf8proc_category_t kind = category(c);
  const bool punctuation = kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
  return punctuation ? !contains(kNotPunctuation, c) : contains(kExtraPunctuation, c);
}

bool is_word_character(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_ND;
}

bool is_letter(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_number(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
}

bool is_nonspacing_mark(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_MN ? !contains(kNotNonspacingMark, c) : contains(kExtraNonspacingMark, c);
}

int canonical_combining_class(char32_t c) {
  const int combining_class = utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
  return combining_class == 0 || contains(kStarter, c) ? 0 : combining_class;
}

std::u32string decompose(char32_t c) {
  if (contains(kNotDecomposed, c)) {
    return {c};
  }
  std::array<utf8proc_int32_t, 32> parts{};
  int boundary = 0;
  const auto size = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
                                            UTF8PROC_DECOMPOSE, &boundary);
  BC_CHECK(size >= 1 && size <= static_cast<utf8proc_ssize_t>(parts.size()), "decomposition of ", uint32_t{c});
  return {parts.begin(), parts.begin() + size};
}

namespace {

/// Marks between two starters, by class; those of one class keep their order.
void order_marks(std::u32string& parts) {
  const auto is_starter = [](char32_t c) { return canonical_combining_class(c) == 0; };
  for (auto first = parts.begin(); first != parts.end();) {
    const auto end = std::find_if(first, parts.end(), is_starter);
    std::stable_sort(
        first, end, [](char32_t a, char32_t b) { return canonical_combining_class(a) < canonical_combining_class(b); });
    first = std::find_if_not(end, parts.end(), is_starter);
  }
}

/// The character that two make, if they do.
std::optional<char32_t> composed(char32_t first, char32_t second) {
  std::array<utf8proc_int32_t, 2> pair = {static_cast<utf8proc_int32_t>(first), static_cast<utf8proc_int32_t>(second)};
  const auto size = utf8proc_normalize_utf32(pair.data(), pair.size(),
                                             static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const auto whole = static_cast<char32_t>(pair[0]);
  return size == 1 && !contains(kNotDecomposed, whole) ? std::optional(whole) : std::nullopt;
}

}  // namespace

std::string compose(std::string_view text) {
  constexpr char32_t kFirstThatMayCompose = 0x300;
  std::u32string parts;
  bool is_composed = true;
  for_each_char(text, [&](const DecodedChar& decoded) {
    is_composed = is_composed && decoded.code_point < kFirstThatMayCompose;
    parts += decompose(decoded.code_point);
  });
  if (is_composed) {
    return std::string(text);
  }
  order_marks(parts);
  // The algorithm of Unicode, §3.11: each character with the last starter, unless one of its class or higher is between.
  std::u32string out;
  std::optional<size_t> starter;
  int last_class = 0;
  for (const char32_t c : parts) {
    const int own_class = canonical_combining_class(c);
    const bool is_next = starter && *starter + 1 == out.size();
    if (starter && (is_next || (last_class != 0 && last_class < own_class))) {
      if (const auto whole = composed(out[*starter], c)) {
        out[*starter] = *whole;
        continue;
      }
    }
    starter = own_class == 0 ? std::optional(out.size()) : starter;
    last_class = own_class;
    out += c;
  }
  return to_utf8(out);
}

std::u32string lowercase(char32_t c) {
  if (c == 0x130) {  // the only unconditional two-character mapping
    return {U'i', char32_t{0x307}};
  }
  for (const LowercaseShift& extra : kExtraLowercase) {
    if (c >= extra.first && c <= extra.last) {
      return {static_cast<char32_t>(static_cast<int>(c) + extra.shift)};
    }
  }
  return {static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)))};
}

}  // namespace bertcram::text
