#pragma once
// Training of unigram and BPE models by the SentencePiece library.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bertcram/text/subword_definition.h"

namespace bertcram::text {

/// Longer sentences the library would leave out.
inline constexpr size_t kMaxSentenceBytes = 4192;

struct SentencePieceTrainOptions {
  SubwordModel model = SubwordModel::kUnigram;
  int64_t vocab_size = 32'768;         ///< pieces, the five special ones included
  Casing casing = Casing::kUncased;    ///< normalisation nmt_nfkc_cf, or nmt_nfkc for kCased
  double character_coverage = 0.9995;  ///< share of all characters whose kinds get a piece, in (0, 1]
};

/// A sentence per call: valid UTF-8, at most kMaxSentenceBytes; nullptr at the end. Valid until the next call.
using NextSentence = std::function<const std::string*()>;

/// The serialised model. [PAD] [UNK] [CLS] [SEP] [MASK] have the ids 0 to 4; none of them is ever found in plain text.
/// A function of the sentences and options alone: the library's sums depend on its number of threads, which is fixed.
/// @throws ConfigError if the sentences do not give that many pieces, or need more
/// @throws DataError if there are no sentences
std::string train_sentencepiece(const NextSentence& next, const SentencePieceTrainOptions& options);

/// The tokenizer of such a model: what Hugging Face makes of its tokenizer.json.
std::unique_ptr<Tokenizer> make_subword_tokenizer(std::string spm_model, const std::string& origin);

}  // namespace bertcram::text
