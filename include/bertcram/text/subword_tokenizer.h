#pragma once
// Unigram and BPE tokenizers that give the ids Hugging Face gives for the same tokenizer.json.

#include <memory>
#include <string>
#include <vector>

#include "bertcram/text/literal_tokens.h"
#include "bertcram/text/subword_definition.h"
#include "bertcram/text/vocabulary.h"

namespace bertcram::text {

class Bpe;
class HubNormalizer;
class Unigram;

/// Added tokens are cut out of the text, the rest is normalised, cut into words, and each word is encoded.
/// Pinned by: tests/text/subword_tokenizer_test.cpp, tests/text/check_subwords_against_hf.py.
class SubwordTokenizer final : public Tokenizer {
 public:
  /// @param definition as read by read_subword_json; ids in it are within the tokens
  /// @param origin what to name in errors
  /// @throws DataError if a token occurs twice, or the character map is damaged
  SubwordTokenizer(SubwordDefinition definition, std::string origin);
  ~SubwordTokenizer() override;

  using Tokenizer::encode;
  void encode(std::string_view text, std::vector<int32_t>& ids, const EncodeOptions& options) const override;
  std::string_view token(int32_t id) const override { return vocabulary_.token(id); }
  std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }
  int64_t vocab_size() const override { return vocabulary_.size(); }
  SpecialRoles roles() const override { return definition_.roles; }
  const SpecialTokens& special() const override;
  std::string fingerprint() const override { return fingerprint_; }
  std::string decode(std::span<const int32_t> ids) const override;
  using Tokenizer::save;
  void save(const std::filesystem::path& directory, const ModelInput& input) const override;

  const SubwordDefinition& definition() const { return definition_; }

 private:
  /// Tokens looked for before normalisation, or after it.
  struct Cutter {
    LiteralTokens all;
    LiteralTokens ordinary;          ///< without the special ones and those with a role: for plain text
    std::vector<AddedToken> tokens;  ///< by id, for their flags
  };

  Cutter make_cutter(bool normalized) const;
  template <class TakeText>
  static void cut(const Cutter& cutter, SpecialInText mode, std::string_view text, std::vector<int32_t>& ids,
                  TakeText take);
  void encode_part(std::string_view text, Before before, SpecialInText mode, std::vector<int32_t>& ids) const;
  void encode_normalized(std::string_view text, Before before, const std::vector<char>& barred,
                         std::vector<int32_t>& ids) const;
  std::string make_fingerprint() const;

  SubwordDefinition definition_;  ///< without the tokens, scores and merges
  std::string origin_;
  Vocabulary vocabulary_;
  std::unique_ptr<const HubNormalizer> normalizer_;
  std::unique_ptr<const Unigram> unigram_;  ///< one of the two
  std::unique_ptr<const Bpe> bpe_;
  Cutter before_;
  Cutter after_;
  std::vector<char> special_ids_;  ///< flags by id of the model's tokens, special or with a role: never from plain text
  std::optional<SpecialTokens> special_;
  std::string fingerprint_;
};

/// Text of pieces with "▁" for spaces and <0x..> for bytes.
std::string join_metaspace_pieces(const Tokenizer& tokenizer, std::span<const int32_t> ids);

}  // namespace bertcram::text
