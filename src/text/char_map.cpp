#include "bertcram/text/char_map.h"

#include <utf8proc.h>

#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"

namespace bertcram::text {
namespace {

constexpr size_t kLongestClusterLookedUp = 5;

// A unit: bits 0-7 label, bit 8 "a value follows", bit 9 offset is in steps of 256, bits 10-30 offset, bit 31 value.
constexpr uint32_t kValueBit = uint32_t{1} << 31;
constexpr uint32_t kLabelMask = kValueBit | 0xFF;

uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (uint32_t{1} << 9)) >> 6); }
bool has_value(uint32_t unit) { return (unit >> 8 & 1) != 0; }

uint32_t read_u32(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  return byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
}

/// Bytes of the first user-perceived character (extended grapheme cluster) of valid UTF-8.
size_t first_cluster_bytes(std::string_view text) {
  DecodedChar last = decode_utf8(text);
  size_t size = last.size_bytes;
  utf8proc_int32_t state = 0;
  while (size < text.size()) {
    const DecodedChar next = decode_utf8(text.substr(size));
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last.code_point),
                                         static_cast<utf8proc_int32_t>(next.code_point), &state)) {
      break;
    }
    size += next.size_bytes;
    last = next;
  }
  return size;
}

}  // namespace

CharMap::CharMap(std::string_view bytes, const std::string& origin) {
  if (bytes.empty()) {
    return;
  }
  const size_t trie_bytes = bytes.size() < 4 ? 0 : read_u32(bytes);
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) {
    throw DataError(cat(origin, ": its character map is damaged (", bytes.size(), " bytes that announce a table of ",
                        trie_bytes, "); fetch or train it again"));
  }
  units_.reserve(trie_bytes / 4);
  for (size_t at = 4; at < 4 + trie_bytes; at += 4) {
    units_.push_back(read_u32(bytes.substr(at)));
  }
  replacements_ = bytes.substr(4 + trie_bytes);
  check(origin);
}

void CharMap::check(const std::string& origin) const {
  const auto require = [&](bool holds) {
    if (!holds) {
      throw DataError(cat(origin, ": its character map is damaged (an entry points outside); fetch or train it again"));
    }
  };
  require(replacements_.empty() || replacements_.back() == '\0');
  std::vector<char> seen(units_.size(), 0);
  std::vector<uint32_t> open = {0};
  seen[0] = 1;
  while (!open.empty()) {
    const uint32_t at = open.back();
    open.pop_back();
    const uint32_t children = at ^ offset_of(units_[at]);
    require((children | 0xFFu) < units_.size());
    if (has_value(units_[at])) {
      require((units_[children] & ~kValueBit) < replacements_.size());
    }
    for (uint32_t label = 1; label < 256; ++label) {
      const uint32_t child = children ^ label;
      if ((units_[child] & kLabelMask) == label && seen[child] == 0) {
        seen[child] = 1;
        open.push_back(child);
      }
    }
  }
}

std::optional<std::string_view> CharMap::shortest_match(std::string_view text) const {
  uint32_t at = offset_of(units_[0]);
  for (const char c : text) {
    const auto label = static_cast<unsigned char>(c);
    if (label == 0) {
      return std::nullopt;
    }
    at ^= label;
    const uint32_t unit = units_[at];
    if ((unit & kLabelMask) != label) {
      return std::nullopt;
    }
    at ^= offset_of(unit);
    if (has_value(unit)) {
      return replacements_.c_str() + (units_[at] & ~kValueBit);
    }
  }
  return std::nullopt;
}

void CharMap::apply_cluster(std::string_view cluster, std::string& out) const {
  if (cluster.size() <= kLongestClusterLookedUp) {
    if (const auto replacement = shortest_match(cluster)) {
      out += *replacement;
      return;
    }
  }
  while (!cluster.empty()) {
    const std::string_view one = cluster.substr(0, decode_utf8(cluster).size_bytes);
    out += shortest_match(one).value_or(one);
    cluster.remove_prefix(one.size());
  }
}

void CharMap::apply(std::string_view text, std::string& out) const {
  if (units_.empty()) {
    out += text;
    return;
  }
  const auto is_ascii = [&](size_t i) { return static_cast<unsigned char>(text[i]) < 0x80; };
  while (!text.empty()) {
    // Two ASCII characters never belong together, but for CR LF.
    const bool alone = is_ascii(0) && text[0] != '\r' && (text.size() == 1 || is_ascii(1));
    const size_t size = alone ? 1 : first_cluster_bytes(text);
    apply_cluster(text.substr(0, size), out);
    text.remove_prefix(size);
  }
}

}  // namespace bertcram::text
