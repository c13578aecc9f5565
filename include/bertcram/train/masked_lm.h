#pragma once
// Masked language modelling: what of rows is masked, and held-out figures.

#include <cstdint>
#include <optional>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/model/encoder.h"
#include "bertcram/text/tokenizer.h"
#include "bertcram/train/held_out.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// Masking of this tokenizer's rows. `special_ids` are never predicted.
data::MaskingOptions masking_options(const text::SpecialTokens& special, int64_t vocab_size,
                                     const config::MaskConfig& mask);

/// Scores samples [0, rows) in forward passes of micro_rows. @return nullopt when asked to stop on the way
std::optional<HeldOutScores> evaluate_masked_lm(const model::Encoder& encoder, const data::MaskedBatches& batches,
                                                int64_t rows, int64_t micro_rows, at::Device device,
                                                const util::StopFlag& stop);

}  // namespace bertcram::train
