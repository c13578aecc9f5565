#pragma once
// `bertcram eval` on held-out text.

#include "bertcram/config/eval_config.h"
#include "bertcram/train/held_out.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// Masked-language-model figures of a model on the held-out rows of packed data (config.data) or on a text file
/// (config.text, packed on the fly with the model's tokenizer). The same masking every time for a seed.
/// @throws DataError, ConfigError, util::StoppedError
HeldOutScores evaluate_held_out(const config::EvalConfig& config, const util::StopFlag& stop);

}  // namespace bertcram::train
