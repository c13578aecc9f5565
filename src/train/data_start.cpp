#include "data_start.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "bertcram/data/cooccurrence.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/nn/low_rank.h"
#include "bertcram/util/error.h"
#include "bertcram/util/log.h"
#include "bertcram/util/text.h"

namespace bertcram::train {
namespace {

using Clock = std::chrono::steady_clock;

/// Logarithms of the tokens' shares, one added to each count: [vocab].
at::Tensor log_frequencies(const std::vector<uint64_t>& counts) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0) + static_cast<double>(counts.size());
  std::vector<float> logs(counts.size());
  std::ranges::transform(counts, logs.begin(), [&](uint64_t count) {
    return static_cast<float>(std::log((static_cast<double>(count) + 1.0) / total));
  });
  return at::from_blob(logs.data(), {static_cast<int64_t>(logs.size())}, at::kFloat).clone();
}

/// Ids of the tokens that have neighbours.
std::vector<int64_t> connected_tokens(const data::Cooccurrences& counts) {
  std::vector<int64_t> ids;
  for (int64_t id = 0; id < counts.vocab; ++id) {
    if (std::ranges::any_of(counts.row(id), [](uint32_t weight) { return weight > 0; })) {
      ids.push_back(id);
    }
  }
  return ids;
}

/// Vectors of the tokens `ids`, [ids, hidden], about their mean, all as long as the random ones they replace are on
/// average. Turned at random, so that no dimension is stronger than the others before a layer norm.
at::Tensor embedded_neighbours(const data::Cooccurrences& counts, const at::Tensor& ids, int64_t hidden,
                               double init_std, uint64_t seed, int64_t threads) {
  std::vector<float> information = data::positive_pmi(counts, threads);
  const auto width = static_cast<int64_t>(counts.contexts.size());
  const at::Tensor matrix = at::from_blob(information.data(), {counts.vocab, width}, at::kFloat);
  const int64_t rank = std::min({hidden, counts.vocab, width});
  const nn::LeadingDirections directions = nn::leading_directions(matrix, rank, seed);
  const at::Tensor vectors = at::index_select(directions.vectors * directions.values.sqrt(), 0, ids);
  const at::Tensor turned = at::matmul(vectors - vectors.mean(0), nn::random_rotation(rank, hidden, seed));
  const at::Tensor lengths = turned.square().sum(1, /*keepdim=*/true).sqrt();
  return turned / lengths * (init_std * std::sqrt(static_cast<double>(hidden)));
}

void start_word_embeddings(const config::PretrainConfig& config, const RunData& data,
                           const std::vector<uint64_t>& token_counts, int64_t threads, const util::StopFlag& stop,
                           nn::Parameters& parameters) {
  const std::string name = model::word_embeddings_name(config.model.arch);
  const data::Cooccurrences counts =
      data::count_cooccurrences(data.train, token_counts, data.tokenizer->special(), {.threads = threads}, stop);
  std::vector<int64_t> connected = connected_tokens(counts);
  const at::Tensor ids = at::from_blob(connected.data(), {static_cast<int64_t>(connected.size())}, at::kLong);
  const at::Tensor start = connected.empty()
                               ? at::Tensor()
                               : embedded_neighbours(counts, ids, config.model.hidden, config.model.init_std,
                                                     static_cast<uint64_t>(config.seed), threads);
  if (!start.defined() || !start.isfinite().all().item<bool>()) {
    util::log_warning("pretrain",
                      "the training data tells nothing about which words are alike (too little text?); "
                      "word embeddings start at random");
    return;
  }
  at::Tensor embeddings = parameters.stored(name).cpu().clone();
  embeddings.index_copy_(0, ids, start);
  parameters.assign(name, embeddings);
  util::log_info("pretrain", cat("word embeddings start from which tokens stand near which in ",
                                 util::format_count(counts.tokens), " tokens of the training data"));
}

}  // namespace

double start_from_data(const config::PretrainConfig& config, const RunData& data, int64_t threads,
                       const util::StopFlag& stop, nn::Parameters& parameters) {
  const c10::NoGradGuard no_grad;
  const auto start = Clock::now();
  const std::vector<uint64_t> token_counts = data::read_token_counts(config.data, data.manifest);
  if (config.model.unigram_bias) {
    const bool has_generator = config.objective == config::Objective::kRtd;
    parameters.assign((has_generator ? model::kGeneratorPrefix : "") + model::decoder_bias_name(config.model.arch),
                      log_frequencies(token_counts));
  }
  if (config.model.word_embeddings == config::WordEmbeddingStart::kCooccurrence) {
    start_word_embeddings(config, data, token_counts, threads, stop, parameters);
  }
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace bertcram::train
