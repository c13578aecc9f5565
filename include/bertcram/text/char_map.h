#pragma once
// SentencePiece's precompiled character map ("precompiled_charsmap"): which sequences become which text.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bertcram::text {

/// Layout: u32 size of the trie in bytes, the trie (units of a darts-clone double array, little-endian), then the
/// replacements, each ended by a NUL; a value of the trie is the offset of one. Immutable, thread-safe.
class CharMap {
 public:
  /// @param bytes  may be empty: nothing is replaced
  /// @param origin what to name in errors
  /// @throws DataError if a step or a value could lead outside
  CharMap(std::string_view bytes, const std::string& origin);

  /// The text as Hugging Face's `Precompiled` makes it: user-perceived characters of up to five bytes are looked up as
  /// a whole, others character by character, and the shortest sequence that matches at their beginning counts.
  /// (SentencePiece itself takes the longest one, across such borders.) Appends to `out`.
  void apply(std::string_view text, std::string& out) const;

 private:
  std::optional<std::string_view> shortest_match(std::string_view text) const;
  void apply_cluster(std::string_view cluster, std::string& out) const;
  void check(const std::string& origin) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace bertcram::text
