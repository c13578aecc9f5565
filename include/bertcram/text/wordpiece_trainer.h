#pragma once
// Trains a WordPiece vocabulary from word counts.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bertcram/text/word_counter.h"

namespace bertcram::text {

struct WordPieceTrainOptions {
  int64_t vocab_size = 32'768;    ///< tokens in the result, special ones included
  uint64_t min_frequency = 2;     ///< a pair of pieces that occurs less often is not joined
  int64_t limit_alphabet = 1000;  ///< most frequent characters kept; others become part of no piece
  std::vector<std::string> specials = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};  ///< get the first ids
  std::function<void()> check_stop = [] {};  ///< called at every join and more often; what it throws ends the training
};

/// The vocabulary in id order: specials, characters, characters behind "##", then joined pieces as they were found.
///
/// The algorithm of Hugging Face's WordPieceTrainer: words start as characters (all but the first behind "##"), and the
/// most frequent adjacent pair is joined until the vocabulary is full. Ties go to the pair with the lower ids. Two ways
/// to the same piece share its id; counts stay exact there, which HF's are not.
///
/// @throws ConfigError if the text cannot give that many pieces, or the characters alone are more
/// Deterministic: a function of its arguments only.
/// Pinned by: tests/text/wordpiece_trainer_test.cpp (against a brute-force trainer)
std::vector<std::string> train_wordpiece(const WordCounts& counts, const WordPieceTrainOptions& options);

}  // namespace bertcram::text
