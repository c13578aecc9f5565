#pragma once
// The BERT tokenizer: literal tokens, normaliser and WordPiece put together.

#include <map>
#include <string>
#include <vector>

#include "bertcram/text/literal_tokens.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/text/vocabulary.h"
#include "bertcram/text/wordpiece.h"

namespace bertcram::text {

/// How the tokens with a role are spelt.
struct SpecialNames {
  std::string pad = "[PAD]";
  std::string unk = "[UNK]";
  std::string cls = "[CLS]";
  std::string sep = "[SEP]";
  std::string mask = "[MASK]";
};

/// A further token of the vocabulary that is recognised in raw text.
struct WordPieceLiteral {
  std::string content;
  bool special = true;  ///< never recognised in plain text; so are tokens with a role, whatever stands here
};

/// Everything that defines a WordPiece tokenizer; what tokenizer files are read into and written from.
struct WordPieceDefinition {
  std::vector<std::string> vocab;  ///< in id order
  NormalizerOptions normalizer;
  SpecialNames special;
  std::vector<WordPieceLiteral> literals;  ///< beyond the tokens with a role
  int64_t max_chars_per_word = kMaxCharsPerWord;
};

class WordPieceTokenizer final : public Tokenizer {
 public:
  /// @param origin what to name in errors: a file, or "the vocabulary"
  /// @throws DataError if a special or literal token is not in the vocabulary, or a token occurs twice
  WordPieceTokenizer(WordPieceDefinition definition, const std::string& origin);

  using Tokenizer::encode;
  void encode(std::string_view text, std::vector<int32_t>& ids, const EncodeOptions& options) const override;
  std::string_view token(int32_t id) const override { return vocabulary_.token(id); }
  std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }
  int64_t vocab_size() const override { return vocabulary_.size(); }
  SpecialRoles roles() const override {
    return {special_.pad, special_.unk, special_.cls, special_.sep, special_.mask};
  }
  const SpecialTokens& special() const override { return special_; }
  std::string fingerprint() const override { return fingerprint_; }
  std::string decode(std::span<const int32_t> ids) const override;
  using Tokenizer::save;
  void save(const std::filesystem::path& directory, const ModelInput& input) const override;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const Normalizer& normalizer() const { return normalizer_; }
  const SpecialNames& special_names() const { return names_; }
  /// Tokens recognised in raw text, those with a role among them.
  const LiteralTokens& literals() const { return literals_; }
  /// Those of them that are recognised in plain text too.
  const LiteralTokens& ordinary_literals() const { return ordinary_; }
  int64_t max_chars_per_word() const { return max_chars_per_word_; }

 private:
  int32_t require(const std::string& token, const std::string& origin) const;
  std::map<int32_t, bool> is_special_by_id(const std::vector<WordPieceLiteral>& further,
                                           const std::string& origin) const;
  LiteralTokens make_literals(const std::vector<WordPieceLiteral>& further, const std::string& origin) const;
  LiteralTokens make_ordinary(const std::vector<WordPieceLiteral>& further, const std::string& origin) const;
  std::vector<char> special_in_words() const;
  std::string make_fingerprint() const;

  Vocabulary vocabulary_;
  SpecialNames names_;
  int64_t max_chars_per_word_;
  SpecialTokens special_;
  LiteralTokens literals_;
  LiteralTokens ordinary_;
  Normalizer normalizer_;
  WordPiece wordpiece_;
  std::vector<char> special_in_words_;  ///< flags by id; empty where no word can give a special id
  std::string fingerprint_;
};

}  // namespace bertcram::text
