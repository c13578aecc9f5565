#include "document_order.h"

#include <algorithm>
#include <bit>

#include "bertcram/text/unicode.h"
#include "bertcram/util/random.h"

namespace bertcram::data {
namespace {

constexpr int kFractionBits = 10;  ///< of mean_sentence_words
constexpr int kLevelBits = 16;
constexpr int kShuffledBits = 64 - kLevelBits;  ///< of a place in a curriculum

bool ends_sentence_alone(char32_t c) { return c == U'\n' || c == U'。' || c == U'！' || c == U'？'; }

bool may_end_sentence(char32_t c) { return c == U'.' || c == U'!' || c == U'?' || c == U'…'; }

}  // namespace

uint64_t mean_sentence_words(std::string_view text) {
  uint64_t words = 0;
  uint64_t sentences = 0;
  bool in_word = false;
  bool sentence_has_words = false;
  bool after_stop = false;
  const auto end_sentence = [&] {
    sentences += sentence_has_words ? 1U : 0U;
    sentence_has_words = after_stop = false;
  };
  while (!text.empty()) {
    const text::DecodedChar decoded = text::decode_utf8(text);
    const char32_t c = decoded.code_point;
    text.remove_prefix(decoded.size_bytes);
    if (text::is_word_character(c)) {
      words += !in_word || text::is_cjk(c) ? 1U : 0U;
      in_word = sentence_has_words = true;
      after_stop = false;
      continue;
    }
    in_word = false;
    if (ends_sentence_alone(c) || (after_stop && text::is_whitespace(c))) {
      end_sentence();
    } else if (may_end_sentence(c)) {
      after_stop = true;
    }
  }
  end_sentence();
  return sentences == 0 ? 0 : (words << kFractionBits) / sentences;
}

uint16_t sentence_level(uint64_t mean_words) {
  // The exponent of a binary floating-point number and the first bits of its fraction: a logarithm in straight pieces.
  constexpr int kPieceBits = 11;
  constexpr uint64_t kLowest = uint64_t{kFractionBits + 1} << kPieceBits;  // 2 words
  constexpr uint64_t kOctaves = 6;
  const uint64_t clamped = std::max(mean_words, uint64_t{2} << kFractionBits);
  const auto exponent = static_cast<uint64_t>(std::bit_width(clamped) - 1);
  const uint64_t fraction = ((clamped << kPieceBits) >> exponent) - (uint64_t{1} << kPieceBits);
  const uint64_t logarithm = std::min((exponent << kPieceBits) + fraction - kLowest, (kOctaves << kPieceBits) - 1);
  return static_cast<uint16_t>((logarithm << kLevelBits) / (kOctaves << kPieceBits));
}

uint64_t document_place(config::DocumentOrder order, int64_t seed, std::string_view text,
                        const util::Hash128& content) {
  const uint64_t shuffled =
      util::mix_key({static_cast<uint64_t>(seed), static_cast<uint64_t>(util::RandomPurpose::kDocumentOrder),
                     content.high, content.low});
  if (order == config::DocumentOrder::kShuffled) {
    return shuffled;
  }
  return uint64_t{sentence_level(mean_sentence_words(text))} << kShuffledBits | shuffled >> kLevelBits;
}

uint64_t place_of_copy(config::DocumentOrder order, uint64_t first_place, uint64_t copy) {
  if (copy == 0) {
    return first_place;
  }
  const uint64_t shuffled = util::mix64(first_place ^ copy);
  if (order == config::DocumentOrder::kShuffled) {
    return shuffled;
  }
  return first_place >> kShuffledBits << kShuffledBits | shuffled >> kLevelBits;
}

}  // namespace bertcram::data
