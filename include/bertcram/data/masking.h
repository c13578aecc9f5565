#pragma once
// The corruption that a masked language model learns to undo (Devlin et al. 2019, §3.1, Task 1).

#include <cstdint>
#include <span>
#include <vector>

#include "bertcram/util/random.h"

namespace bertcram::data {

struct MaskingOptions {
  double mask_prob = 0.15;    ///< share of the row's tokens that are predicted
  double mask_share = 0.8;    ///< of those: replaced by [MASK]
  double random_share = 0.1;  ///< of those: replaced by a random token; the rest stays as it is
  int32_t mask_id = 0;
  std::vector<int32_t> special_ids;  ///< never predicted and never drawn
  int64_t vocab_size = 0;
};

/// Number of predictions in a row of seq_len tokens: the same for every row that has enough ordinary tokens, so that
/// shapes are constant.
int64_t predictions_per_row(int64_t seq_len, const MaskingOptions& options);

/// Corrupts one row in place and appends what is to be predicted.
///
/// Positions are drawn without replacement among the ordinary tokens, in increasing order. Random replacements are
/// uniform over the vocabulary without the special tokens.
/// @param ids        [seq_len] row, changed in place
/// @param random     stream keyed by (seed, epoch, row): the result is a pure function of it
/// @param positions  gets the positions in the row, ascending
/// @param targets    gets the original ids
/// Pinned by: tests/data/masking_test.cpp
void mask_row(std::span<int32_t> ids, util::RandomStream random, const MaskingOptions& options,
              std::vector<int32_t>& positions, std::vector<int32_t>& targets);

}  // namespace bertcram::data
