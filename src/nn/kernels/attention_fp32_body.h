// Attention of fp32 numbers: no part of the scores leaves the cache. Included as vectors_body.h is, after it.

#include "attention_shape.h"
#include "buffer.h"
#include "dropout_draws.h"

namespace bertcram::nn::kernels {
namespace {

/// Of a register of keys that begins `left` keys before the last. @return -infinity where there is no key
BC_TARGET inline Floats scaled_scores(const float* scores, const float* bias, int64_t left, float scale) {
  const Floats scaled = load(scores) * scale;
  return first_of(left, bias == nullptr ? scaled : scaled + load_some(bias, left), -INFINITY);
}

/// nn::draw of the entries from this index on: the factor of those that stay, 0 for the others.
BC_TARGET inline Floats dropout_factors(uint32_t index, const Draws& draws) {
  Words x = reinterpret_cast<Words>(lane_numbers()) + (index + draws.first_key);
  x = (x ^ (x >> kDrawShifts[0])) * kDrawFactors[0];
  x = ((x ^ (x >> kDrawShifts[1])) ^ draws.second_key) * kDrawFactors[1];
  x = (x ^ (x >> kDrawShifts[2])) * kDrawFactors[2];
  x = x ^ (x >> kDrawShifts[3]);
  return x >= draws.threshold ? all(draws.scale) : Floats{};
}

/// Replaces the scores of one query by their softmax after dropout; zeros behind the last key. @param index  of its first
/// entry's draw  @return log_sum
BC_TARGET float softmax(float* scores, const float* bias, int64_t keys, float scale, const Draws& draws,
                        uint32_t index) {
  Floats highest = all(-INFINITY);
  for (int64_t key = 0; key < keys; key += kLanes) {
    const Floats score = scaled_scores(scores + key, bias == nullptr ? nullptr : bias + key, keys - key, scale);
    store(scores + key, score);
    highest = larger(highest, score);
  }
  const float most = comparable(largest_of(highest));
  Floats sums = {};
  for (int64_t key = 0; key < keys; key += kLanes) {
    const Floats weight = exponential(load(scores + key) - most);
    store(scores + key, weight);
    sums += weight;
  }
  const float sum = sum_of(sums);
  const float share = share_of(sum);
  for (int64_t key = 0; key < keys; key += kLanes) {
    Floats probability = load(scores + key) * share;
    if (draws.threshold > 0) {
      probability *= dropout_factors(index + static_cast<uint32_t>(key), draws);
    }
    store(scores + key, probability);
  }
  return log_sum_of(most, sum);
}

BC_TARGET float dot(const float* a, const float* b, int64_t count) {
  Floats sum = {};
  for (int64_t i = 0; i < count; i += kLanes) {
    sum = load(a + i) * load(b + i) + sum;
  }
  return sum_of(sum);
}

/// What the forward pass had and the backward pass needs of a query again.
struct Softmax {
  float log_sum;
  float mean_gradient;  ///< of its probabilities after dropout, weighted by them
};

/// The probabilities of one query after dropout, again, in place of its scores; and the gradient of its scores in place of that
/// of the probabilities after dropout. Zeros behind the last key.
BC_TARGET void softmax_backward(float* scores, float* gradients, const float* bias, int64_t keys, float scale,
                                const Softmax& was, const Draws& draws, uint32_t index) {
  for (int64_t key = 0; key < keys; key += kLanes) {
    const Floats score = scaled_scores(scores + key, bias == nullptr ? nullptr : bias + key, keys - key, scale);
    const Floats probability = exponential(score - was.log_sum);
    const Floats factor = draws.threshold > 0 ? dropout_factors(index + static_cast<uint32_t>(key), draws) : all(1.0F);
    const Floats gradient = load(gradients + key) * factor;
    store(scores + key, probability * factor);
    store(gradients + key, probability * (gradient - was.mean_gradient) * scale);
  }
}

BC_TARGET void attend_forward(const AttentionShape& shape, const float* qkv, const ScoreBias& bias, const Draws& draws,
                              int64_t begin, int64_t end, float* out, float* log_sums) {
  const int64_t dim = shape.head_dim;
  const int64_t hidden = shape.heads * dim;
  const int64_t most_queries = std::min(kMostQueries, shape.seq);
  const int64_t keys = round_up(shape.seq, kLanes);
  const Buffer<float> key_columns(keys * dim);
  const Buffer<float> value_rows(keys * dim);
  const Buffer<float> scores(most_queries * keys);
  for (int64_t index = begin; index < end; ++index) {
    const auto unit = unit_at(shape, qkv, bias, index);
    pack_transposed(unit.key, unit.stride, shape.seq, dim, keys, key_columns.get());
    pack_rows(unit.value, unit.stride, shape.seq, keys, dim, value_rows.get());
    float* const unit_out = out + index / shape.heads * shape.seq * hidden + index % shape.heads * dim;
    for (int64_t first = 0; first < shape.seq; first += most_queries) {
      const int64_t queries = std::min(most_queries, shape.seq - first);
      product({unit.query + first * unit.stride, unit.stride}, queries, key_columns.get(), dim, keys,
              {scores.get(), keys});
      for (int64_t i = 0; i < queries; ++i) {
        log_sums[index * shape.seq + first + i] = softmax(
            scores.get() + i * keys, unit.bias == nullptr ? nullptr : unit.bias + (first + i) * bias.query_stride,
            shape.seq, score_scale(shape), draws, first_draw(shape, index, first + i));
      }
      product({scores.get(), keys}, queries, value_rows.get(), keys, dim, {unit_out + first * hidden, hidden});
    }
  }
}

BC_TARGET void attend_backward(const AttentionShape& shape, const float* qkv, const ScoreBias& bias, const Draws& draws,
                               const float* out, const float* log_sums, const float* out_gradient, int64_t begin,
                               int64_t end, float* qkv_gradient) {
  const int64_t dim = shape.head_dim;
  const int64_t hidden = shape.heads * dim;
  const int64_t keys = round_up(shape.seq, kLanes);
  const int64_t most_queries = std::min(kMostQueries, shape.seq);
  const Buffer<float> key_columns(keys * dim);
  const Buffer<float> key_rows(keys * dim);
  const Buffer<float> value_columns(keys * dim);
  const Buffer<float> query_rows(most_queries * dim);
  const Buffer<float> gradient_rows(most_queries * dim);
  const Buffer<float> scores(most_queries * keys);
  const Buffer<float> gradients(most_queries * keys);
  for (int64_t index = begin; index < end; ++index) {
    const auto unit = unit_at(shape, qkv, bias, index);
    const int64_t place = index / shape.heads * shape.seq * hidden + index % shape.heads * dim;
    float* const to = qkv_gradient + (unit.query - qkv);
    pack_transposed(unit.key, unit.stride, shape.seq, dim, keys, key_columns.get());
    pack_rows(unit.key, unit.stride, shape.seq, keys, dim, key_rows.get());
    pack_transposed(unit.value, unit.stride, shape.seq, dim, keys, value_columns.get());
    for (int64_t first = 0; first < shape.seq; first += most_queries) {
      const int64_t queries = std::min(most_queries, shape.seq - first);
      const float* const query = unit.query + first * unit.stride;
      const float* const gradient = out_gradient + place + first * hidden;
      product({query, unit.stride}, queries, key_columns.get(), dim, keys, {scores.get(), keys});
      product({gradient, hidden}, queries, value_columns.get(), dim, keys, {gradients.get(), keys});
      for (int64_t i = 0; i < queries; ++i) {
        softmax_backward(scores.get() + i * keys, gradients.get() + i * keys,
                         unit.bias == nullptr ? nullptr : unit.bias + (first + i) * bias.query_stride, shape.seq,
                         score_scale(shape),
                         {.log_sum = log_sums[index * shape.seq + first + i],
                          .mean_gradient = dot(gradient + i * hidden, out + place + (first + i) * hidden, dim)},
                         draws, first_draw(shape, index, first + i));
      }
      product({gradients.get(), keys}, queries, key_rows.get(), keys, dim, {to + first * unit.stride, unit.stride});
      const Sums sums = first == 0 ? Sums::kStart : Sums::kContinue;
      pack_rows(gradient, hidden, queries, queries, dim, gradient_rows.get());
      product({scores.get(), 1, keys}, shape.seq, gradient_rows.get(), queries, dim,
              {to + 2 * hidden, unit.stride, sums});
      pack_rows(query, unit.stride, queries, queries, dim, query_rows.get());
      product({gradients.get(), 1, keys}, shape.seq, query_rows.get(), queries, dim, {to + hidden, unit.stride, sums});
    }
  }
}

}  // namespace
}  // namespace bertcram::nn::kernels
