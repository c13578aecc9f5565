#include "attention_bf16.h"

#include <cmath>

#include "avx512_bf16.h"
#include "buffer.h"

namespace bertcram::nn::kernels {
namespace {

BC_AVX512_BF16 __m512 scaled_scores(const float* scores, const float* bias, int64_t key, __mmask16 mask, __m512 scale) {
  const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(scores + key), scale);
  return bias == nullptr ? scaled : _mm512_add_ps(scaled, _mm512_maskz_loadu_ps(mask, bias + key));
}

BC_AVX512_BF16 __m512i all(uint32_t word) { return _mm512_set1_epi32(static_cast<int32_t>(word)); }

/// nn::draw of 16 entries from this index on: the factor of those that stay, 0 for the others.
BC_AVX512_BF16 __m512 dropout_factors(uint32_t index, const Draws& draws) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i x = _mm512_add_epi32(lanes, all(index + draws.first_key));
  x = _mm512_mullo_epi32(_mm512_xor_si512(x, _mm512_srli_epi32(x, kDrawShifts[0])), all(kDrawFactors[0]));
  x = _mm512_xor_si512(_mm512_xor_si512(x, _mm512_srli_epi32(x, kDrawShifts[1])), all(draws.second_key));
  x = _mm512_mullo_epi32(x, all(kDrawFactors[1]));
  x = _mm512_mullo_epi32(_mm512_xor_si512(x, _mm512_srli_epi32(x, kDrawShifts[2])), all(kDrawFactors[2]));
  x = _mm512_xor_si512(x, _mm512_srli_epi32(x, kDrawShifts[3]));
  const __mmask16 stays = _mm512_cmpge_epu32_mask(x, all(draws.threshold));
  return _mm512_maskz_mov_ps(stays, _mm512_set1_ps(draws.scale));
}

/// Replaces the scores of one query by their softmax after dropout, in bf16. @param index  of its first entry's draw
/// @return log_sum
BC_AVX512_BF16 float softmax(float* scores, const float* bias, int64_t keys, int64_t padded_keys, float scale_number,
                             const Draws& draws, uint32_t index, Bf16* probabilities) {
  const __m512 scale = _mm512_set1_ps(scale_number);
  const __m512 lowest = _mm512_set1_ps(-INFINITY);
  __m512 highest = lowest;
  for (int64_t key = 0; key < keys; key += kLanes) {
    const __mmask16 mask = first_lanes(keys - key);
    const __m512 score = _mm512_mask_mov_ps(lowest, mask, scaled_scores(scores, bias, key, mask, scale));
    _mm512_storeu_ps(scores + key, score);
    highest = _mm512_max_ps(highest, score);
  }
  const float most = comparable(_mm512_reduce_max_ps(highest));
  __m512 sums = _mm512_setzero_ps();
  for (int64_t key = 0; key < keys; key += kLanes) {
    const __m512 weight = exp_ps(_mm512_sub_ps(_mm512_loadu_ps(scores + key), _mm512_set1_ps(most)));
    _mm512_storeu_ps(scores + key, weight);
    sums = _mm512_add_ps(sums, weight);
  }
  const float sum = _mm512_reduce_add_ps(sums);
  const __m512 share = _mm512_set1_ps(share_of(sum));
  int64_t key = 0;
  for (; key < keys; key += kLanes) {
    __m512 probability = _mm512_mul_ps(_mm512_loadu_ps(scores + key), share);
    if (draws.threshold > 0) {
      probability = _mm512_mul_ps(probability, dropout_factors(index + static_cast<uint32_t>(key), draws));
    }
    store_bf16(probabilities + key, probability);
  }
  for (; key < padded_keys; key += kLanes) {
    store_bf16(probabilities + key, _mm512_setzero_ps());
  }
  return log_sum_of(most, sum);
}

BC_AVX512_BF16 void store_rows(const float* from, int64_t rows, int64_t columns, Bf16* to, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; column += kLanes) {
      store_bf16(to + row * stride + column, _mm512_loadu_ps(from + row * columns + column));
    }
  }
}

BC_AVX512_BF16 float dot(const Bf16* a, const Bf16* b, int64_t count) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += kLanes) {
    sum = _mm512_fmadd_ps(load_bf16(a + i), load_bf16(b + i), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

/// The probabilities of one query after dropout, again, and the gradient of its scores, both in bf16.
/// @param gradients  of the probabilities after dropout  @param mean  their mean under these
BC_AVX512_BF16 void softmax_backward(const float* scores, const float* gradients, const float* bias, int64_t keys,
                                     float scale_number, float log_sum, float mean, const Draws& draws, uint32_t index,
                                     Bf16* probabilities, Bf16* score_gradients) {
  const __m512 scale = _mm512_set1_ps(scale_number);
  for (int64_t key = 0; key < keys; key += kLanes) {
    const __mmask16 mask = first_lanes(keys - key);
    const __m512 score = scaled_scores(scores, bias, key, mask, scale);
    const __m512 probability = _mm512_maskz_mov_ps(mask, exp_ps(_mm512_sub_ps(score, _mm512_set1_ps(log_sum))));
    const __m512 factor =
        draws.threshold > 0 ? dropout_factors(index + static_cast<uint32_t>(key), draws) : _mm512_set1_ps(1.0F);
    const __m512 gradient = _mm512_mul_ps(_mm512_loadu_ps(gradients + key), factor);
    const __m512 deviation = _mm512_sub_ps(gradient, _mm512_set1_ps(mean));
    store_bf16(probabilities + key, _mm512_mul_ps(probability, factor));
    store_bf16(score_gradients + key, _mm512_mul_ps(_mm512_mul_ps(probability, deviation), scale));
  }
}

}  // namespace

BC_AVX512_BF16 void attention_forward(const AttentionShape& shape, const Bf16* qkv, const ScoreBias& bias,
                                      const Draws& draws, int64_t begin, int64_t end, Bf16* out, float* log_sums) {
  const int64_t dim = shape.head_dim;
  const int64_t hidden = shape.heads * dim;
  const int64_t most_queries = std::min(kMostQueries, shape.seq);
  const int64_t keys = round_up(shape.seq, 2 * kLanes);
  const Buffer<Bf16> packed_key(keys * dim);
  const Buffer<Bf16> packed_value(keys * dim);
  const Buffer<float> scores(most_queries * keys);
  const Buffer<Bf16> probabilities(most_queries * keys);
  const Buffer<float> mixed(most_queries * dim);
  for (int64_t index = begin; index < end; ++index) {
    const auto unit = unit_at(shape, qkv, bias, index);
    pack_transposed(unit.key, unit.stride, shape.seq, dim, keys, {0, keys}, packed_key.get());
    pack_rows(unit.value, unit.stride, shape.seq, keys, dim, {0, dim}, packed_value.get());
    Bf16* const unit_out = out + index / shape.heads * shape.seq * hidden + index % shape.heads * dim;
    for (int64_t first = 0; first < shape.seq; first += most_queries) {
      const int64_t queries = std::min(most_queries, shape.seq - first);
      product(unit.query + first * unit.stride, unit.stride, queries, packed_key.get(), dim, keys,
              FloatStore{scores.get(), keys});
      for (int64_t query = 0; query < queries; ++query) {
        log_sums[index * shape.seq + first + query] = softmax(
            scores.get() + query * keys,
            unit.bias == nullptr ? nullptr : unit.bias + (first + query) * bias.query_stride, shape.seq, keys,
            score_scale(shape), draws, first_draw(shape, index, first + query), probabilities.get() + query * keys);
      }
      product(probabilities.get(), keys, queries, packed_value.get(), keys, dim, FloatStore{mixed.get(), dim});
      store_rows(mixed.get(), queries, dim, unit_out + first * hidden, hidden);
    }
  }
}

BC_AVX512_BF16 void attention_backward(const AttentionShape& shape, const Bf16* qkv, const ScoreBias& bias,
                                       const Draws& draws, const Bf16* out, const float* log_sums,
                                       const Bf16* out_gradient, int64_t begin, int64_t end, Bf16* qkv_gradient) {
  const int64_t dim = shape.head_dim;
  const int64_t hidden = shape.heads * dim;
  const int64_t keys = round_up(shape.seq, 2 * kLanes);
  const int64_t most_queries = std::min(kMostQueries, round_up(shape.seq, 2 * kLanes));
  const Buffer<Bf16> key_columns(keys * dim);  // packed: transposed, and as it stands
  const Buffer<Bf16> key_rows(keys * dim);
  const Buffer<Bf16> value_columns(keys * dim);
  const Buffer<Bf16> query_rows(most_queries * dim);
  const Buffer<Bf16> gradient_rows(most_queries * dim);
  const Buffer<float> scores(most_queries * keys);
  const Buffer<float> gradients(most_queries * keys);
  const Buffer<Bf16> probabilities(most_queries * keys);
  const Buffer<Bf16> score_gradients(most_queries * keys);
  const Buffer<Bf16> transposed(keys * most_queries);
  const Buffer<float> query_gradient(most_queries * dim);
  const Buffer<float> key_gradient(keys * dim);
  const Buffer<float> value_gradient(keys * dim);
  for (int64_t index = begin; index < end; ++index) {
    const auto unit = unit_at(shape, qkv, bias, index);
    const int64_t place = index / shape.heads * shape.seq * hidden + index % shape.heads * dim;
    Bf16* const to = qkv_gradient + (unit.query - qkv);
    pack_transposed(unit.key, unit.stride, shape.seq, dim, keys, {0, keys}, key_columns.get());
    pack_rows(unit.key, unit.stride, shape.seq, keys, dim, {0, dim}, key_rows.get());
    pack_transposed(unit.value, unit.stride, shape.seq, dim, keys, {0, keys}, value_columns.get());
    for (int64_t first = 0; first < shape.seq; first += most_queries) {
      const int64_t queries = std::min(most_queries, shape.seq - first);
      const int64_t padded = round_up(queries, 2 * kLanes);
      const Bf16* const query = unit.query + first * unit.stride;
      const Bf16* const gradient = out_gradient + place + first * hidden;
      product(query, unit.stride, queries, key_columns.get(), dim, keys, FloatStore{scores.get(), keys});
      product(gradient, hidden, queries, value_columns.get(), dim, keys, FloatStore{gradients.get(), keys});
      for (int64_t i = 0; i < queries; ++i) {
        softmax_backward(scores.get() + i * keys, gradients.get() + i * keys,
                         unit.bias == nullptr ? nullptr : unit.bias + (first + i) * bias.query_stride, shape.seq,
                         score_scale(shape), log_sums[index * shape.seq + first + i],
                         dot(gradient + i * hidden, out + place + (first + i) * hidden, dim), draws,
                         first_draw(shape, index, first + i), probabilities.get() + i * keys,
                         score_gradients.get() + i * keys);
      }
      std::fill_n(probabilities.get() + queries * keys, (padded - queries) * keys, Bf16{0});
      std::fill_n(score_gradients.get() + queries * keys, (padded - queries) * keys, Bf16{0});
      product(score_gradients.get(), keys, queries, key_rows.get(), keys, dim, FloatStore{query_gradient.get(), dim});
      store_rows(query_gradient.get(), queries, dim, to + first * unit.stride, unit.stride);
      const Sums sums = first == 0 ? Sums::kStart : Sums::kContinue;
      pack_rows(gradient, hidden, queries, padded, dim, {0, dim}, gradient_rows.get());
      transpose(probabilities.get(), keys, padded, keys, transposed.get(), padded);
      product(transposed.get(), padded, shape.seq, gradient_rows.get(), padded, dim,
              FloatStore{value_gradient.get(), dim, sums});
      pack_rows(query, unit.stride, queries, padded, dim, {0, dim}, query_rows.get());
      transpose(score_gradients.get(), keys, padded, keys, transposed.get(), padded);
      product(transposed.get(), padded, shape.seq, query_rows.get(), padded, dim,
              FloatStore{key_gradient.get(), dim, sums});
    }
    store_rows(key_gradient.get(), shape.seq, dim, to + hidden, unit.stride);
    store_rows(value_gradient.get(), shape.seq, dim, to + 2 * hidden, unit.stride);
  }
}

}  // namespace bertcram::nn::kernels
