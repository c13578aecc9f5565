#pragma once
// Text → deduplicated, shuffled rows of tokens in shards. Two passes, memory bounded by one bucket:
//   1. documents are tokenised in parallel and thrown into bucket files by their place in the final order;
//   2. bucket by bucket they are sorted, deduplicated, split into train and valid, and cut into rows.
// A document's place is a hash of its content and the seed: the result does not depend on threads or file order.
// What the first pass has done is saved now and then; a session that was interrupted, however, is gone on with.

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "bertcram/config/pack_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

struct PackCounts {
  int64_t documents_read = 0;
  int64_t documents_left_out = 0;        ///< by the weight of their source
  int64_t documents_short = 0;           ///< below min_chars, or without a token
  int64_t documents_symbols = 0;         ///< above max_symbols
  int64_t documents_repetitive = 0;      ///< above max_repetition
  int64_t documents_contaminated = 0;    ///< shares text with --decontaminate
  int64_t documents_incompressible = 0;  ///< at or above max_tokens_per_char
  int64_t documents_duplicate = 0;       ///< same text as another, or made of paragraphs of others
  int64_t documents_near_duplicate = 0;  ///< much the same text as another
  int64_t paragraphs_duplicate = 0;      ///< lines left out of documents
  int64_t documents_repeated = 0;        ///< copies among documents_train, for sources with a weight above 1
  int64_t documents_train = 0;
  int64_t documents_valid = 0;
  int64_t text_bytes = 0;
  int64_t invalid_utf8 = 0;  ///< byte sequences replaced by U+FFFD
  int64_t nul_bytes = 0;     ///< dropped
  int64_t bad_records = 0;   ///< JSON lines or rows without a text, skipped
  int64_t tokens = 0;        ///< of the kept documents, without [CLS] and [SEP]
  int64_t train_rows = 0;
  int64_t valid_rows = 0;
  double unigram_entropy = 0;  ///< nats per token of the training documents

  PackCounts& operator+=(const PackCounts& other);  ///< the whole numbers
  /// Every whole number above, by its name in the manifest and in --json.
  static std::span<const std::pair<std::string_view, int64_t PackCounts::*>> fields();
};

struct PackContext {
  const util::StopFlag& stop;
  util::ProgressStyle progress = util::ProgressStyle::kAuto;
};

/// Packs `config.input` into `config.output`. A folder that already holds the result of the same options and inputs
/// is left as it is, or made again if anything of it is missing or damaged; one that holds anything else is refused unless
/// config.overwrite. One that holds the saved work of an interrupted session with the same options and inputs is gone on
/// with, byte for byte as if nothing had happened.
/// @throws DataError, ConfigError, ResourceError; util::StoppedError when asked to stop. Nothing is left half-written.
PackCounts run_pack(const config::PackConfig& config, const text::Tokenizer& tokenizer, const PackContext& context);

}  // namespace bertcram::data
