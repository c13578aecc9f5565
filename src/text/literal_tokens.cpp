#include "bertcram/text/literal_tokens.h"

#include <algorithm>

#include "bertcram/util/error.h"

namespace bertcram::text {

LiteralTokens::LiteralTokens(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  std::ranges::stable_sort(tokens_, std::ranges::greater{}, [](const Token& token) { return token.content.size(); });
  for (const Token& token : tokens_) {
    BC_CHECK(!token.content.empty(), "empty literal token");
    starts_token_[static_cast<unsigned char>(token.content[0])] = true;
  }
  one_first_byte_ = std::ranges::count(starts_token_, true) == 1;
}

size_t LiteralTokens::next_candidate(std::string_view text, size_t from) const {
  if (one_first_byte_) {
    return text.find(tokens_[0].content[0], from);
  }
  while (from < text.size() && !starts_token_[static_cast<unsigned char>(text[from])]) {
    ++from;
  }
  return from < text.size() ? from : std::string_view::npos;
}

std::optional<LiteralTokens::Match> LiteralTokens::find(std::string_view text, size_t from) const {
  if (tokens_.empty()) {
    return std::nullopt;
  }
  for (size_t at = next_candidate(text, from); at != std::string_view::npos; at = next_candidate(text, at + 1)) {
    for (const Token& token : tokens_) {
      if (text.substr(at).starts_with(token.content)) {
        return Match{at, token.content.size(), token.id};
      }
    }
  }
  return std::nullopt;
}

}  // namespace bertcram::text
