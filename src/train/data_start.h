#pragma once

#include "bertcram/config/pretrain_config.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/util/stop.h"
#include "run_data.h"

namespace bertcram::train {

/// Puts what counting alone can know of the training data into freshly drawn weights, before the first step: the output
/// bias (`model.unigram_bias`) and the word embeddings (`model.word_embeddings`).
/// @return seconds that it took: they belong to the budget. @throws util::StoppedError
double start_from_data(const config::PretrainConfig& config, const RunData& data, int64_t threads,
                       const util::StopFlag& stop, nn::Parameters& parameters);

}  // namespace bertcram::train
