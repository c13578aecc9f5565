#pragma once
// The order in which a fine-tuning run sees its examples: a pure function of lengths, seed and epoch.

#include <cstdint>
#include <span>
#include <vector>

namespace bertcram::glue {

/// Indices of the examples of one batch.
using Batch = std::vector<int64_t>;

struct BatchOptions {
  int64_t batch_examples = 16;  ///< >= 1
  uint64_t seed = 0;
  int64_t epoch = 0;           ///< each epoch has its own order
  int64_t chunk_batches = 50;  ///< >= 1; batches sorted by length together: more means less padding and less shuffling
};

/// One epoch of training batches: examples are shuffled, cut into chunks of `chunk_batches` batches, each chunk sorted
/// by length and cut into batches, and the batches shuffled. Every example occurs exactly once; all batches are full but
/// one, which may stand anywhere. No examples give no batches.
/// @param lengths_tokens [examples] length of each example
/// Deterministic on every platform.
/// Pinned by: tests/glue/batching_test.cpp
std::vector<Batch> training_batches(std::span<const int64_t> lengths_tokens, const BatchOptions& options);

/// Batches for evaluation: all examples by length, longest first (so that a batch that does not fit in memory fails at
/// once), equal lengths in file order. Scores go back to file order by index.
std::vector<Batch> evaluation_batches(std::span<const int64_t> lengths_tokens, int64_t batch_examples);

/// Batches per epoch: examples / batch_examples, rounded up.
int64_t batches_per_epoch(int64_t examples, int64_t batch_examples);

/// Examples that a run has seen after so many training batches. Within an epoch all count as full: which one is not is
/// left open, so that it may be up to a batch less. REQUIRES: examples >= 1.
int64_t examples_after(int64_t batches, int64_t examples, int64_t batch_examples);

}  // namespace bertcram::glue
