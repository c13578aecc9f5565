#include "layer_histograms.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/histc.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/sum.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "bertcram/util/error.h"

namespace bertcram::train {
namespace {

constexpr int64_t kBins = 40;

/// Bins between -bound and bound. @param numbers  fp32 on the CPU, all finite
monitor::Histogram histogram_of(const at::Tensor& numbers, double bound, double divisor) {
  const auto [smallest, largest] = at::aminmax(numbers);
  const double norm = at::linalg_vector_norm(numbers).item<double>();
  const at::Tensor counts = at::histc(numbers.flatten(), kBins, -bound, bound).to(at::kDouble);
  monitor::Histogram histogram = {.smallest = smallest.item<double>() / divisor,
                                  .largest = largest.item<double>() / divisor,
                                  .count = static_cast<double>(numbers.numel()),
                                  .sum = at::sum(numbers, at::kDouble).item<double>() / divisor,
                                  .sum_of_squares = norm * norm / (divisor * divisor)};
  for (int64_t bin = 0; bin < kBins; ++bin) {
    const double limit = -bound + 2 * bound * static_cast<double>(bin + 1) / static_cast<double>(kBins);
    histogram.limits.push_back(limit / divisor);
    histogram.counts.push_back(counts.const_data_ptr<double>()[bin]);
  }
  return histogram;
}

}  // namespace

std::string layer_of(const std::string& parameter) {
  const std::string prefix = parameter.starts_with("generator.") ? "generator " : "";
  for (const char* word : {".layer.", ".layers.", "layers."}) {
    const size_t place = parameter.find(word);
    if (place == std::string::npos) {
      continue;
    }
    const size_t begin = place + std::string(word).size();
    const std::string number = parameter.substr(begin, parameter.find('.', begin) - begin);
    return cat(prefix, "layer ", number.size() < 2 ? "0" : "", number);
  }
  return prefix + (parameter.find("embeddings") != std::string::npos ? "embeddings" : "head");
}

std::map<std::string, monitor::Histogram> layer_histograms(const nn::Parameters& parameters, const at::Tensor& flat,
                                                           double divisor) {
  const at::Tensor on_host = flat.detach().to(at::kCPU);
  const auto views = parameters.stored_views(on_host);
  std::map<std::string, double> bounds;  // the largest magnitude of each layer
  std::set<std::string> ill;
  for (const nn::NamedTensor& each : views) {
    const std::string layer = layer_of(each.name);
    const auto [smallest, largest] = at::aminmax(each.tensor);
    const double bound = std::max(-smallest.item<double>(), largest.item<double>());
    if (!std::isfinite(bound)) {
      ill.insert(layer);
    }
    bounds[layer] = std::max(bounds[layer], bound);
  }
  std::map<std::string, monitor::Histogram> layers;
  for (const nn::NamedTensor& each : views) {
    if (const std::string layer = layer_of(each.name); !ill.contains(layer) && bounds[layer] > 0) {
      layers[layer].add(histogram_of(each.tensor, bounds[layer], divisor));
    }
  }
  return layers;
}

}  // namespace bertcram::train
