#pragma once

#include <map>
#include <string>

#include "bertcram/monitor/event_file.h"
#include "bertcram/nn/parameters.h"

namespace bertcram::train {

/// How the numbers of each layer ("layer 00", "embeddings", "head"; of a generator with its prefix) are distributed.
/// @param flat     masters() or gradients() of the parameters, fp32
/// @param divisor  of every number: of gradients that are sums the number of terms
/// @return without layers that have a number that is not finite. Reads, and draws no random numbers
std::map<std::string, monitor::Histogram> layer_histograms(const nn::Parameters& parameters, const at::Tensor& flat,
                                                           double divisor);

/// The layer of a parameter, by its name in Hugging Face's layout.
std::string layer_of(const std::string& parameter);

}  // namespace bertcram::train
