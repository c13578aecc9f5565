#include "bertcram/text/normalizer.h"

#include <algorithm>
#include <map>

#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"

namespace bertcram::text {
namespace {

constexpr CharAction make(CharAction::Kind kind) { return {kind, 0, 0}; }

/// The outcome of normalising a code point on its own, when it follows and precedes starters.
struct Expansion {
  std::u32string kept;
  bool starts_with_mark = false;  // a combining character comes first: what precedes it matters
  bool keeps_mark = false;        // a combining character stays: what follows may have to precede it
};

Expansion expand(char32_t c, const NormalizerOptions& options) {
  Expansion expansion;
  const std::u32string parts = options.strip_accents ? decompose(c) : std::u32string{c};
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool combines = options.strip_accents && canonical_combining_class(parts[i]) != 0;
    expansion.starts_with_mark |= combines && i == 0;
    if (options.strip_accents && is_nonspacing_mark(parts[i])) {
      continue;
    }
    expansion.keeps_mark |= combines;
    expansion.kept += options.lowercase ? lowercase(parts[i]) : std::u32string{parts[i]};
  }
  return expansion;
}

/// A block all of whose code points have the classes of those of `block`. Planes 4 to 13 hold no characters and planes 15
/// and 16 private ones only; to look at each of their 786,432 code points would take most of a short command's time.
/// Pinned by CharacterClasses.EmptyAndPrivatePlanesAreUniform.
uint32_t first_block_alike(uint32_t block) {
  constexpr uint32_t kBlocksPerPlane = 0x100;
  const uint32_t plane = block / kBlocksPerPlane;
  const bool is_last_of_plane = block % kBlocksPerPlane == kBlocksPerPlane - 1;
  if (is_last_of_plane || plane < 4 || plane == 14) {
    return block;
  }
  return (plane < 14 ? 4 : 15) * kBlocksPerPlane;
}

}  // namespace

Normalizer::Normalizer(const NormalizerOptions& options) : options_(options) {
  build_pages();
  build_ascii();
}

void Normalizer::build_pages() {
  constexpr uint32_t kBlocks = (kLastCodePoint + 1) / kPageSize;
  std::map<std::array<uint32_t, kPageSize>, uint16_t> known;  // large stretches of planes are alike
  for (uint32_t block = 0; block < kBlocks; ++block) {
    if (const uint32_t alike = first_block_alike(block); alike != block) {
      page_of_.push_back(page_of_[alike]);
      continue;
    }
    Page page;
    std::array<uint32_t, kPageSize> key{};
    for (uint32_t i = 0; i < kPageSize; ++i) {
      page[i] = make_action(block * kPageSize + i);
      key[i] = uint32_t{page[i].offset} << 12 | uint32_t{page[i].size_bytes} << 4 | uint32_t{page[i].kind};
    }
    const auto [entry, is_new] = known.emplace(key, static_cast<uint16_t>(pages_.size()));
    if (is_new) {
      pages_.push_back(page);
    }
    page_of_.push_back(entry->second);
  }
}

void Normalizer::build_ascii() {
  for (char32_t c = 1; c < 0x80; ++c) {
    const CharAction& a = action(c);
    if (a.kind == CharAction::kCopy) {
      ascii_word_[c] = static_cast<char>(c);
    } else if (a.kind == CharAction::kMap) {
      ascii_word_[c] = replacement(a).front();
    }
  }
}

CharAction Normalizer::pooled(CharAction::Kind kind, const std::string& text) {
  const CharAction action{kind, static_cast<uint32_t>(text.size()) & 0xFFu,
                          static_cast<uint32_t>(pool_.size()) & 0xFFFFFu};
  BC_CHECK(action.size_bytes == text.size() && action.offset == pool_.size(), "replacement pool is full");
  pool_ += text;
  return action;
}

CharAction Normalizer::make_action(char32_t c) {
  if (options_.clean_text) {
    if (c == 0 || c == kReplacementCharacter || is_control(c)) {
      return make(CharAction::kDrop);
    }
    if (is_whitespace(c)) {
      return make(CharAction::kSpace);
    }
  }
  const Expansion expansion = expand(c, options_);
  const std::u32string& kept = expansion.kept;
  if (kept.empty()) {
    return make(expansion.starts_with_mark ? CharAction::kDrop : CharAction::kDropStart);
  }
  if (expansion.keeps_mark) {
    BC_CHECK(std::ranges::none_of(kept, is_whitespace) && std::ranges::none_of(kept, is_punctuation),
             "combining character that breaks words: ", uint32_t{c});
    return make(CharAction::kGeneral);
  }
  if (kept.size() == 1 && is_whitespace(kept[0])) {
    return make(CharAction::kSpace);
  }
  const bool alone = (options_.handle_chinese_chars && is_cjk(c)) || (kept.size() == 1 && is_punctuation(kept[0]));
  BC_CHECK(alone || (std::ranges::none_of(kept, is_whitespace) && std::ranges::none_of(kept, is_punctuation)),
           "several words in one character: ", uint32_t{c});
  if (kept == std::u32string_view(&c, 1)) {
    return make(alone ? CharAction::kCopyAlone : CharAction::kCopy);
  }
  return pooled(alone ? CharAction::kMapAlone : CharAction::kMap, to_utf8(kept));
}

std::vector<std::string> Normalizer::words(std::string_view text) const {
  std::vector<std::string> words;
  WordScanner scanner(*this);
  scanner.reset(text);
  for (std::string_view word = scanner.next(); !word.empty(); word = scanner.next()) {
    words.emplace_back(word);
  }
  return words;
}

}  // namespace bertcram::text
