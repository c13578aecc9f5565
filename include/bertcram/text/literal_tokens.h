#pragma once
// Tokens recognised as they stand in raw text, before any normalisation: "[MASK]" and its like.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bertcram::text {

/// Finds the leftmost, then longest literal token, as the added tokens of Hugging Face with `normalized: false`.
/// Immutable, thread-safe.
class LiteralTokens {
 public:
  struct Token {
    std::string content;  ///< not empty
    int32_t id;
  };
  struct Match {
    size_t begin_bytes;
    size_t size_bytes;
    int32_t id;
  };

  LiteralTokens() = default;
  explicit LiteralTokens(std::vector<Token> tokens);

  /// The first match that starts at byte `from` or later.
  std::optional<Match> find(std::string_view text, size_t from) const;

  const std::vector<Token>& tokens() const { return tokens_; }

 private:
  size_t next_candidate(std::string_view text, size_t from) const;

  std::vector<Token> tokens_;  ///< longest first
  std::array<bool, 256> starts_token_{};
  bool one_first_byte_ = false;  ///< the usual case, '[': memchr finds the candidates
};

}  // namespace bertcram::text
