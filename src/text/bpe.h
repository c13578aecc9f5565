#pragma once
// Byte-pair encoding as Hugging Face encodes with it.

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bertcram/text/vocabulary.h"
#include "unigram.h"

namespace bertcram::text {

/// Joins neighbouring pieces, the best rank first, of equals the leftmost. Source: Sennrich et al. 2016; the order of
/// joins, stale ones included, is that of `tokenizers` 0.23.3. Immutable, thread-safe.
class Bpe {
 public:
  struct Options {
    std::optional<int32_t> unk_id;    ///< without one unknown characters vanish
    std::optional<BytePieces> bytes;  ///< unknown characters become bytes
    size_t model_tokens;              ///< the first so many of the vocabulary
    bool fuse_unk;                    ///< neighbouring unknown characters are one
    bool ignore_merges;               ///< a word that is a piece stays whole
  };
  struct Merge {
    int32_t left;
    int32_t right;
    int32_t joined;
  };

  /// @param vocabulary kept by the caller
  /// @param merges the best first; of a pair given twice the last counts
  Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, Options options);

  /// Appends the ids of a word, which is not empty and valid UTF-8.
  /// @param barred ids that are not used (their text is plain text), as flags by id; may be empty
  void encode_word(std::string_view word, const std::vector<char>& barred, std::vector<int32_t>& ids) const;

 private:
  struct Rule {
    uint32_t rank;
    int32_t joined;
  };
  struct Symbol {
    int32_t id;  ///< kGone: part of the one before
    int32_t previous;
    int32_t next;  ///< -1: none
  };
  static constexpr int32_t kGone = -1;

  std::optional<int32_t> find(std::string_view token, const std::vector<char>& barred) const;
  const Rule* rule(int32_t left, int32_t right, const std::vector<char>& barred) const;
  std::vector<int32_t> characters(std::string_view word, const std::vector<char>& barred) const;
  static std::vector<Symbol> linked(const std::vector<int32_t>& ids);
  void join(std::vector<Symbol>& symbols, const std::vector<char>& barred) const;

  const Vocabulary& vocabulary_;
  Options options_;
  std::unordered_map<uint64_t, Rule> rules_;
};

}  // namespace bertcram::text
