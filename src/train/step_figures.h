#pragma once
// What an optimizer step yields.

#include <cstdint>
#include <optional>

#include "bertcram/train/phase_seconds.h"

namespace bertcram::train {

/// What came of a step.
enum class StepOutcome {
  kDone,
  kScaleOverflow,  ///< skipped: the factor of the loss in fp16 was too large, and is smaller now
  kNotFinite,      ///< skipped: the gradient is not finite
};

/// Figures of one optimizer step.
struct StepFigures {
  double loss = 0;  ///< of the masked LM, nats per predicted token
  double learning_rate = 0;
  double gradient_norm = 0;  ///< before clipping
  int64_t memory_bytes = 0;  ///< peak so far
  int64_t tokens = 0;        ///< trained on
  PhaseSeconds phases;
  StepOutcome outcome = StepOutcome::kDone;
  std::optional<double> replaced_token_loss = std::nullopt;      ///< nats per token
  std::optional<double> replaced_token_accuracy = std::nullopt;  ///< 0..1
};

}  // namespace bertcram::train
