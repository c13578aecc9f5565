#pragma once
// `bertcram eval --blimp`: whether a model prefers the acceptable sentence of a minimal pair.

#include <cstdint>
#include <map>
#include <string>

#include "bertcram/config/eval_config.h"
#include "bertcram/util/progress.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

struct PairScores {
  std::map<std::string, double> paradigms;  ///< share of the pairs whose good sentence is the more likely one, 0..1
  double average = 0;                       ///< over paradigms
};

/// Sentences are compared by their pseudo-log-likelihood (Salazar et al. 2020): each token is masked in turn, and the
/// logarithms of the probabilities that the model gives it are summed. A draw is no success.
/// @throws DataError, util::StoppedError
PairScores evaluate_pairs(const config::EvalConfig& config, const util::StopFlag& stop, util::ProgressStyle progress);

}  // namespace bertcram::train
