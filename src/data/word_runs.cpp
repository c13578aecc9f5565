#include "word_runs.h"

#include <array>

#include "bertcram/text/unicode.h"

namespace bertcram::data {
namespace {

/// Lower case of the ASCII letters and digits; 0 for what separates words.
constexpr std::array<unsigned char, 128> kAsciiWord = [] {
  std::array<unsigned char, 128> table{};
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = c;
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = c;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = static_cast<unsigned char>(c - 'A' + 'a');
  return table;
}();

/// Folds characters into the hash of the open word.
class WordBuilder {
 public:
  explicit WordBuilder(std::vector<uint64_t>& words) : words_(words) {}

  void add(uint64_t character) {
    hash_ = (hash_ ^ character) * 0x100000001b3ULL;  // FNV-1a (Fowler, Noll & Vo), finished by mix64
    is_open_ = true;
  }
  void close() {
    if (is_open_) {
      words_.push_back(util::mix64(hash_));
      hash_ = kStart;
      is_open_ = false;
    }
  }

 private:
  static constexpr uint64_t kStart = 0xcbf29ce484222325ULL;
  std::vector<uint64_t>& words_;
  uint64_t hash_ = kStart;
  bool is_open_ = false;
};

}  // namespace

void hash_words(std::string_view text, std::vector<uint64_t>& words) {
  words.clear();
  WordBuilder word(words);
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    if (byte < 0x80) {
      if (const unsigned char folded = kAsciiWord[byte]; folded != 0) {
        word.add(folded);
      } else {
        word.close();
      }
      text.remove_prefix(1);
      continue;
    }
    const text::DecodedChar decoded = text::decode_utf8(text);
    text.remove_prefix(decoded.size_bytes);
    if (text::is_cjk(decoded.code_point)) {
      word.close();
      word.add(decoded.code_point);
      word.close();
    } else if (text::is_word_character(decoded.code_point)) {
      for (const char32_t c : text::lowercase(decoded.code_point)) {
        word.add(c);
      }
    } else {
      word.close();
    }
  }
  word.close();
}

}  // namespace bertcram::data
