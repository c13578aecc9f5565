#pragma once
// Which tokens stand near which in packed rows: what a language's words have in common, known before the first step.

#include <cstdint>
#include <span>
#include <vector>

#include "bertcram/data/packed_dataset.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/util/stop.h"

namespace bertcram::data {

struct CooccurrenceOptions {
  int64_t max_tokens = 100'000'000;      ///< rows spread over the data, together at most this long
  int64_t max_contexts = 8'192;          ///< the most frequent tokens are counted as neighbours
  int64_t max_cells = int64_t{1} << 27;  ///< vocab × contexts: 512 MiB of counts
  int64_t threads = 1;
};

/// Weighted counts of neighbours within a document. A pair at distance d adds kCooccurrenceUnit / d, up to a distance of
/// kCooccurrenceWindow: integers, so that the sums do not depend on threads (Pennington et al. 2014 weigh by 1 / d).
/// A sum wraps around only where one token stands beside another (or itself) some 15 million times.
struct Cooccurrences {
  int64_t vocab = 0;
  std::vector<int32_t> contexts{};  ///< ids of the neighbours, most frequent first
  std::vector<uint32_t> weights{};  ///< [vocab, contexts]
  int64_t tokens = 0;               ///< counted ones

  std::span<const uint32_t> row(int64_t id) const {
    return std::span(weights).subspan(static_cast<size_t>(id) * contexts.size(), contexts.size());
  }
};

constexpr int64_t kCooccurrenceWindow = 5;
constexpr uint32_t kCooccurrenceUnit = 60;  ///< divisible by every distance

/// Special tokens have no neighbours and are none; [SEP] also ends the document.
/// @param token_counts  [vocab], decides which tokens count as contexts
/// @throws util::StoppedError, DataError if a shard is damaged
Cooccurrences count_cooccurrences(const RowStore& rows, std::span<const uint64_t> token_counts,
                                  const text::SpecialTokens& special, const CooccurrenceOptions& options,
                                  const util::StopFlag& stop);

/// Positive pointwise mutual information, [vocab, contexts]: max(0, log(p(token, context) / (p(token) p'(context)))),
/// with p' ∝ p^0.75 so that rare contexts do not rule (Levy, Goldberg & Dagan 2015, §3).
std::vector<float> positive_pmi(const Cooccurrences& counts, int64_t threads);

}  // namespace bertcram::data
