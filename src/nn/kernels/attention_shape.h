#pragma once
// What attention kernels of all types share.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace bertcram::nn::kernels {

struct AttentionShape {
  int64_t batch = 0;
  int64_t seq = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
};

/// Added to the scores: bias[batch · batch_stride + query · query_stride + key]; nothing where it is null.
struct ScoreBias {
  const float* values = nullptr;
  int64_t batch_stride = 0;
  int64_t query_stride = 0;
};

// Queries whose scores are held at a time: with 128 keys 64 KiB, with 8,192 keys 4 MiB.
inline constexpr int64_t kMostQueries = 128;

/// One sequence and head.
template <class Number>
struct AttentionUnit {
  const Number* query;  ///< [seq, head_dim] with that stride, and so are key and value
  const Number* key;
  const Number* value;
  int64_t stride;
  const float* bias;  ///< of its first query, or null
};

/// @param qkv  [batch, seq, 3, heads, head_dim]  @param unit  batch · heads + head
template <class Number>
AttentionUnit<Number> unit_at(const AttentionShape& shape, const Number* qkv, const ScoreBias& bias, int64_t unit) {
  const int64_t hidden = shape.heads * shape.head_dim;
  const int64_t sequence = unit / shape.heads;
  const Number* const query = qkv + sequence * shape.seq * 3 * hidden + unit % shape.heads * shape.head_dim;
  return {.query = query,
          .key = query + hidden,
          .value = query + 2 * hidden,
          .stride = 3 * hidden,
          .bias = bias.values == nullptr ? nullptr : bias.values + sequence * bias.batch_stride};
}

/// Index of the draw of a query's first probability, as in a tensor [batch, heads, seq, seq].
inline uint32_t first_draw(const AttentionShape& shape, int64_t unit, int64_t query) {
  return static_cast<uint32_t>((unit * shape.seq + query) * shape.seq);
}

inline float score_scale(const AttentionShape& shape) { return 1.0F / std::sqrt(static_cast<float>(shape.head_dim)); }

// A query without a key, whose scores are all -infinity, has no probabilities: its output and its gradients are zeros.

/// What a query's scores are compared with: the largest, or a number if that is none. @return NaN for NaN
inline float comparable(float largest) { return std::max(largest, std::numeric_limits<float>::lowest()); }

/// Of the sum of a query's exponentials: what makes them probabilities.
inline float share_of(float sum) { return sum == 0.0F ? 0.0F : 1.0F / sum; }

/// Where the exponentials of what the scores have more than `largest` sum up to `sum`. e^(score - this) is the probability.
inline float log_sum_of(float largest, float sum) {
  return sum == 0.0F ? std::numeric_limits<float>::infinity() : largest + std::log(sum);
}

}  // namespace bertcram::nn::kernels
