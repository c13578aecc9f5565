// The loss of fp32 logits, a row at a time. Included as vectors_body.h is, after it.

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace bertcram::nn::kernels {
namespace {

/// What may be read is `count` numbers. @return `other` behind them
BC_TARGET inline Floats load_or(const float* from, int64_t count, float other) {
  return count >= kLanes ? load(from) : first_of(count, load_some(from, count), other);
}

BC_TARGET inline void store_some(float* to, int64_t count, Floats values) {
  if (count >= kLanes) {
    store(to, values);
    return;
  }
  float some[kLanes];
  store(some, values);
  std::copy_n(some, count, to);
}

/// @return the loss of one row
BC_TARGET float leave_errors(float* logits, int64_t vocab, int64_t target) {
  const float logit_of_target = logits[target];
  Floats highest = all(-INFINITY);
  for (int64_t i = 0; i < vocab; i += kLanes) {
    highest = larger(load_or(logits + i, vocab - i, -INFINITY), highest);
  }
  const float most = largest_of(highest);
  Floats sums = {};
  for (int64_t i = 0; i < vocab; i += kLanes) {
    const Floats weight = exponential(load_or(logits + i, vocab - i, -INFINITY) - most);
    store_some(logits + i, vocab - i, weight);
    sums += weight;
  }
  const float sum = sum_of(sums);
  for (int64_t i = 0; i < vocab; i += kLanes) {
    store_some(logits + i, vocab - i, load_some(logits + i, vocab - i) * (1.0F / sum));
  }
  logits[target] -= 1.0F;
  return most + std::log(sum) - logit_of_target;
}

BC_TARGET void leave_all_errors(float* logits, int64_t vocab, const int64_t* targets, int64_t begin, int64_t end,
                                float* losses) {
  for (int64_t row = begin; row < end; ++row) {
    losses[row] = leave_errors(logits + row * vocab, vocab, targets[row]);
  }
}

}  // namespace
}  // namespace bertcram::nn::kernels
