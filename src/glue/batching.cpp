#include "bertcram/glue/batching.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/random.h"

namespace bertcram::glue {
namespace {

// Words that keep the two shuffles of an epoch apart; part of the reproducibility contract.
constexpr uint64_t kExampleShuffle = 0;
constexpr uint64_t kBatchShuffle = 1;

/// Fisher-Yates (Durstenfeld 1964); std::shuffle differs between libraries.
template <class Item>
void shuffle(std::vector<Item>& items, util::RandomStream rng) {
  for (size_t last = items.size(); last > 1; --last) {
    std::swap(items[last - 1], items[static_cast<size_t>(rng.below(last))]);
  }
}

util::RandomStream stream_of(const BatchOptions& options, uint64_t which) {
  return {options.seed, util::RandomPurpose::kExampleOrder, {static_cast<uint64_t>(options.epoch), which}};
}

std::vector<int64_t> all_indices(size_t count) {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

std::vector<Batch> cut(std::span<const int64_t> order, int64_t batch_examples) {
  std::vector<Batch> batches;
  const auto size = static_cast<size_t>(batch_examples);
  for (size_t begin = 0; begin < order.size(); begin += size) {
    const auto part = order.subspan(begin, std::min(size, order.size() - begin));
    batches.emplace_back(part.begin(), part.end());
  }
  return batches;
}

}  // namespace

std::vector<Batch> training_batches(std::span<const int64_t> lengths_tokens, const BatchOptions& options) {
  BC_CHECK(options.batch_examples >= 1 && options.chunk_batches >= 1 && options.epoch >= 0);
  std::vector<int64_t> order = all_indices(lengths_tokens.size());
  shuffle(order, stream_of(options, kExampleShuffle));
  const auto chunk = static_cast<size_t>(options.batch_examples * options.chunk_batches);
  const auto length_of = [&](int64_t index) { return lengths_tokens[static_cast<size_t>(index)]; };
  for (size_t begin = 0; begin < order.size(); begin += chunk) {
    const std::span<int64_t> part = std::span(order).subspan(begin, std::min(chunk, order.size() - begin));
    std::ranges::stable_sort(part, {}, length_of);  // stable: equal lengths keep their shuffled order
  }
  std::vector<Batch> batches = cut(order, options.batch_examples);
  shuffle(batches, stream_of(options, kBatchShuffle));
  return batches;
}

std::vector<Batch> evaluation_batches(std::span<const int64_t> lengths_tokens, int64_t batch_examples) {
  BC_CHECK(batch_examples >= 1);
  std::vector<int64_t> order = all_indices(lengths_tokens.size());
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [&](int64_t index) { return lengths_tokens[static_cast<size_t>(index)]; });
  return cut(order, batch_examples);
}

int64_t batches_per_epoch(int64_t examples, int64_t batch_examples) {
  BC_CHECK(examples >= 0 && batch_examples >= 1);
  return (examples + batch_examples - 1) / batch_examples;
}

int64_t examples_after(int64_t batches, int64_t examples, int64_t batch_examples) {
  BC_CHECK(batches >= 0 && examples >= 1);
  const int64_t per_epoch = batches_per_epoch(examples, batch_examples);
  return batches / per_epoch * examples + std::min(batches % per_epoch * batch_examples, examples);
}

}  // namespace bertcram::glue
