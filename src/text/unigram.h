#pragma once
// The unigram model as Hugging Face encodes with it.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "bertcram/text/double_array.h"
#include "bertcram/text/vocabulary.h"

namespace bertcram::text {

/// Ids of the 256 pieces <0x00>…<0xFF>.
using BytePieces = std::array<int32_t, 256>;
/// nullopt unless all 256 are there.
std::optional<BytePieces> find_byte_pieces(const Vocabulary& vocabulary, size_t model_tokens);

/// Whether an id may not be used, by flags of which there may be none.
inline bool is_barred(const std::vector<char>& barred, int32_t id) {
  return !barred.empty() && barred[static_cast<size_t>(id)] != 0;
}

/// Finds the pieces with the highest sum of scores (Viterbi over bytes, float64, the first of equals wins).
/// Source: Kudo 2018; the order of additions and comparisons is that of `tokenizers` 0.23.3. Immutable, thread-safe.
class Unigram {
 public:
  struct Options {
    int32_t unk_id;
    std::optional<BytePieces> bytes;  ///< unknown text becomes bytes
  };

  /// @param vocabulary kept by the caller; its first scores.size() tokens are the model's
  Unigram(const Vocabulary& vocabulary, std::vector<double> scores, Options options);

  /// Appends the ids of a word, which is not empty and valid UTF-8.
  /// @param barred ids that are not used (their text is plain text), as flags by id; may be empty
  void encode_word(std::string_view word, const std::vector<char>& barred, std::vector<int32_t>& ids) const;

 private:
  struct Node {
    double score = 0;
    uint32_t size_bytes = 0;  ///< of the piece that ends here; 0: none does
    int32_t id = 0;
  };

  std::vector<Node> best_paths(std::string_view word, const std::vector<char>& barred) const;
  void add_unknown(std::string_view run, const std::vector<char>& barred, std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary_;
  std::vector<double> scores_;
  Options options_;
  DoubleArray trie_;
  double unk_score_;
};

}  // namespace bertcram::text
