#pragma once
// Where a document stands among the packed ones: a number made of its text and the seed, by which documents are sorted.

#include <cstdint>
#include <string_view>

#include "bertcram/config/pack_config.h"
#include "bertcram/util/hash.h"

namespace bertcram::data {

/// Words per sentence, on average, in 1/1024; 0 for a text without words. A sentence ends at a line's end, and at a full
/// stop, exclamation or question mark that white space follows (after quotation marks and brackets); those of Chinese and
/// Japanese need nothing behind them. Words as in word_runs.h: no language is known.
uint64_t mean_sentence_words(std::string_view text);

/// A monotone map of mean_sentence_words to 16 bits: nearly the logarithm, with 2 to 128 words a sentence spread over the
/// range, so that buckets of equal parts of it are of use.
uint16_t sentence_level(uint64_t mean_words);

/// @param content  hash of `text`
uint64_t document_place(config::DocumentOrder order, int64_t seed, std::string_view text, const util::Hash128& content);

/// Where copy number `copy` of a document stands whose first one, number 0, is at `first_place`.
uint64_t place_of_copy(config::DocumentOrder order, uint64_t first_place, uint64_t copy);

}  // namespace bertcram::data
