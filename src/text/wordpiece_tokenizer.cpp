#include "bertcram/text/wordpiece_tokenizer.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "bertcram/text/tokenizer_files.h"
#include "bertcram/text/unicode.h"
#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/text.h"

namespace bertcram::text {
namespace {

/// What Hugging Face's WordPiece decoder (`cleanup: true`) does to each token after its space is put in front.
std::string clean_up(std::string token) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kReplacements = {{
      {" .", "."},
      {" ?", "?"},
      {" !", "!"},
      {" ,", ","},
      {" ' ", "'"},
      {" n't", "n't"},
      {" 'm", "'m"},
      {" do not", " don't"},
      {" 's", "'s"},
      {" 've", "'ve"},
      {" 're", "'re"},
  }};
  for (const auto& [from, to] : kReplacements) {
    for (size_t at = token.find(from); at != std::string::npos; at = token.find(from, at + to.size())) {
      token.replace(at, from.size(), to);
    }
  }
  return token;
}

/// Whether a word may begin with the token, or go on with it behind "##". Punctuation stands alone: no word gives "[SEP]".
bool may_stand_in_a_word(std::string_view token) {
  if (token.starts_with(kContinuationPrefix)) {
    token.remove_prefix(kContinuationPrefix.size());
  }
  const std::u32string characters = to_code_points(token);
  return characters.size() == 1 || std::ranges::none_of(characters, is_punctuation);
}

}  // namespace

WordPieceTokenizer::WordPieceTokenizer(WordPieceDefinition definition, const std::string& origin)
    : vocabulary_(std::move(definition.vocab), origin),
      names_(std::move(definition.special)),
      max_chars_per_word_(definition.max_chars_per_word),
      special_{.pad = require(names_.pad, origin),
               .unk = require(names_.unk, origin),
               .cls = require(names_.cls, origin),
               .sep = require(names_.sep, origin),
               .mask = require(names_.mask, origin)},
      literals_(make_literals(definition.literals, origin)),
      ordinary_(make_ordinary(definition.literals, origin)),
      normalizer_(definition.normalizer),
      wordpiece_(vocabulary_, special_.unk, max_chars_per_word_),
      special_in_words_(special_in_words()),
      fingerprint_(make_fingerprint()) {}

int32_t WordPieceTokenizer::require(const std::string& token, const std::string& origin) const {
  const std::optional<int32_t> id = vocabulary_.find(token);
  if (!id) {
    throw DataError(cat(origin, ": the token '", util::excerpt(token), "' is not among the ", vocabulary_.size(),
                        " tokens; it is needed as a special token. Is this a BERT vocabulary?"));
  }
  return *id;
}

/// Of all literal tokens: in one order and without repetition, whatever the file says.
std::map<int32_t, bool> WordPieceTokenizer::is_special_by_id(const std::vector<WordPieceLiteral>& further,
                                                             const std::string& origin) const {
  std::map<int32_t, bool> by_id;
  for (const int32_t id : {special_.pad, special_.unk, special_.cls, special_.sep, special_.mask}) {
    by_id[id] = true;
  }
  for (const WordPieceLiteral& literal : further) {
    bool& is_special = by_id[require(literal.content, origin)];
    is_special = is_special || literal.special;
  }
  return by_id;
}

LiteralTokens WordPieceTokenizer::make_literals(const std::vector<WordPieceLiteral>& further,
                                                const std::string& origin) const {
  std::vector<LiteralTokens::Token> tokens;
  for (const auto& [id, is_special] : is_special_by_id(further, origin)) {
    tokens.push_back({vocabulary_.token(id), id});
  }
  return LiteralTokens(std::move(tokens));
}

LiteralTokens WordPieceTokenizer::make_ordinary(const std::vector<WordPieceLiteral>& further,
                                                const std::string& origin) const {
  std::vector<LiteralTokens::Token> tokens;
  for (const auto& [id, is_special] : is_special_by_id(further, origin)) {
    if (!is_special) {
      tokens.push_back({vocabulary_.token(id), id});
    }
  }
  return LiteralTokens(std::move(tokens));
}

/// Flags by id of the special tokens, if one is a plain word ("sep") or a part of one; usually none is.
std::vector<char> WordPieceTokenizer::special_in_words() const {
  std::vector<char> flags;
  for (const int32_t id : {special_.pad, special_.unk, special_.cls, special_.sep, special_.mask}) {
    if (may_stand_in_a_word(vocabulary_.token(id))) {
      flags.resize(static_cast<size_t>(vocabulary_.size()));
      flags[static_cast<size_t>(id)] = 1;
    }
  }
  return flags;
}

std::string WordPieceTokenizer::make_fingerprint() const {
  util::StreamHash hash;
  const NormalizerOptions& options = normalizer_.options();
  hash.update(cat("wordpiece 1\n", options.clean_text, options.handle_chinese_chars, options.strip_accents,
                  options.lowercase, "\n", max_chars_per_word_, "\n"));
  hash.update(cat(special_.pad, " ", special_.unk, " ", special_.cls, " ", special_.sep, " ", special_.mask, "\n"));
  for (const LiteralTokens::Token& literal : literals_.tokens()) {
    hash.update(cat(literal.id, " "));
  }
  for (const LiteralTokens::Token& literal : ordinary_.tokens()) {
    hash.update(cat("ordinary ", literal.id, " "));
  }
  for (const std::string& token : vocabulary_.tokens()) {
    hash.update(cat("\n", token.size(), " ", token));
  }
  return hash.digest128().hex();
}

void WordPieceTokenizer::encode(std::string_view text, std::vector<int32_t>& ids, const EncodeOptions& options) const {
  WordScanner scanner(normalizer_);
  const bool recognise = options.special_in_text == SpecialInText::kRecognise;
  const LiteralTokens& literals = recognise ? literals_ : ordinary_;
  const std::span<const char> barred = recognise ? std::span<const char>() : special_in_words_;
  const auto encode_plain = [&](std::string_view part) {
    scanner.reset(part);
    for (std::string_view word = scanner.next(); !word.empty(); word = scanner.next()) {
      wordpiece_.encode_word(word, barred, ids);
    }
  };
  size_t at = 0;
  while (const std::optional<LiteralTokens::Match> match = literals.find(text, at)) {
    encode_plain(text.substr(at, match->begin_bytes - at));
    ids.push_back(match->id);
    at = match->begin_bytes + match->size_bytes;
  }
  encode_plain(text.substr(at));
}

std::string WordPieceTokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  bool first = true;
  for (const int32_t id : ids) {
    const std::string& token = vocabulary_.token(id);
    if (!first && token.starts_with(kContinuationPrefix)) {
      text += clean_up(token.substr(kContinuationPrefix.size()));
    } else {
      text += clean_up(first ? token : " " + token);
    }
    first = false;
  }
  return text;
}

void WordPieceTokenizer::save(const std::filesystem::path& directory, const ModelInput& input) const {
  write_tokenizer_directory(*this, directory, input);
}

std::unique_ptr<Tokenizer> make_wordpiece_tokenizer(std::vector<std::string> vocab, NormalizerOptions options) {
  WordPieceDefinition definition;
  definition.vocab = std::move(vocab);
  definition.normalizer = options;
  return std::make_unique<WordPieceTokenizer>(std::move(definition), "the vocabulary");
}

}  // namespace bertcram::text
