#pragma once
// A SentencePiece model as the SentencePiece library encodes with it.

#include <memory>
#include <string>
#include <vector>

#include "bertcram/text/literal_tokens.h"
#include "bertcram/text/spm_model.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/text/vocabulary.h"

namespace bertcram::text {

/// The ids of a bare `.model`: text goes through the library as it is, but for its unknown and control pieces, which are
/// recognised in raw text as any special token is. User-defined symbols are the library's: always recognised.
/// Pinned by: tests/text/sentencepiece_test.cpp (reference ids).
class SentencePieceTokenizer final : public Tokenizer {
 public:
  /// @param bytes   a serialised ModelProto
  /// @param origin  what to name in errors
  /// @throws DataError if it is damaged, or the library does not take it
  SentencePieceTokenizer(std::string bytes, std::string origin);
  ~SentencePieceTokenizer() override;

  using Tokenizer::encode;
  void encode(std::string_view text, std::vector<int32_t>& ids, const EncodeOptions& options) const override;
  std::string_view token(int32_t id) const override { return vocabulary_.token(id); }
  std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }
  int64_t vocab_size() const override { return vocabulary_.size(); }
  SpecialRoles roles() const override { return roles_; }
  /// @throws DataError also if the model has something that a tokenizer.json cannot say: whoever needs these saves it
  const SpecialTokens& special() const override;
  std::string fingerprint() const override { return fingerprint_; }
  std::string decode(std::span<const int32_t> ids) const override;
  using Tokenizer::save;
  /// @throws DataError if the model has something that a tokenizer.json cannot say
  void save(const std::filesystem::path& directory, const ModelInput& input) const override;

 private:
  class Library;

  SentencePieceTokenizer(const SpmModel& model, std::string&& bytes, std::string&& origin);
  void encode_part(std::string_view text, std::vector<int32_t>& ids) const;

  std::string bytes_;
  std::string origin_;
  Vocabulary vocabulary_;
  std::unique_ptr<const Library> library_;
  LiteralTokens literals_;
  SpecialRoles roles_;
  std::optional<SpecialTokens> special_;
  std::string fingerprint_;
};

}  // namespace bertcram::text
