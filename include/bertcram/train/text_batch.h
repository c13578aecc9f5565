#pragma once
// Texts and pairs of texts → padded batches for an encoder.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "bertcram/model/encoder.h"
#include "bertcram/text/tokenizer.h"

namespace bertcram::train {

/// `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]` (Devlin et al. 2019, §3).
struct EncodedText {
  std::vector<int32_t> ids;
  int32_t first_segment = 0;  ///< tokens up to and including the first [SEP]; the rest has token type 1
};

/// Encodes a text, or a pair when there is a `text_b`, which may be empty: `[CLS] a [SEP] [SEP]`. Longer ones are cut to
/// max_tokens, one token at a time from the end of the longer text. @param truncated is increased by one if anything was cut
/// @throws ConfigError if max_tokens leave no room for text
EncodedText encode_text(const text::Tokenizer& tokenizer, std::string_view text_a,
                        std::optional<std::string_view> text_b, int64_t max_tokens, int64_t& truncated);

/// The most tokens that a text, or a pair, keeps: `asked` of --max-tokens, `usual` where that is 0, but never more than positions.
/// @throws ConfigError if a text would have no room beside its special tokens
int64_t tokens_of_text(int64_t asked, int64_t usual, int64_t positions, bool is_pair);

/// The chosen texts (indices into `texts`) as one batch on `device`, padded with pad_id to the longest of them, seq.
/// @return ids, token_types [batch, seq] int32; key_bias [batch, 1, 1, seq] compute type, undefined when none is padded
model::EncoderInput padded_batch(std::span<const EncodedText> texts, std::span<const int64_t> chosen, int32_t pad_id,
                                 at::ScalarType compute_type, at::Device device);

}  // namespace bertcram::train
