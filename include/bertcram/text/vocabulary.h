#pragma once
// Tokens and their ids, both ways.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bertcram::text {

/// Ids 0..size-1 in the order of the tokens. Immutable, thread-safe.
class Vocabulary {
 public:
  /// @param tokens valid UTF-8, not empty, all different
  /// @param origin what to name in errors: a file, or "the vocabulary"
  /// @throws DataError naming the line of an empty, invalid or repeated token
  Vocabulary(std::vector<std::string> tokens, const std::string& origin);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  std::optional<int32_t> find(std::string_view token) const;
  /// REQUIRES: 0 <= id < size(); checked.
  const std::string& token(int32_t id) const;
  std::span<const std::string> tokens() const { return tokens_; }

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, int32_t> ids_;  ///< keys point into tokens_
};

/// The tokens of a vocab.txt: one a line, LF or CRLF, a final line end is optional.
/// @throws DataError if the file is missing or empty
std::vector<std::string> read_vocab_txt(const std::filesystem::path& path);

}  // namespace bertcram::text
