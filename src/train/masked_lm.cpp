#include "bertcram/train/masked_lm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/logsumexp.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "batch_tensors.h"

namespace bertcram::train {

data::MaskingOptions masking_options(const text::SpecialTokens& special, int64_t vocab_size,
                                     const config::MaskConfig& mask) {
  return {.mask_prob = mask.mask_prob,
          .mask_share = mask.mask_share,
          .random_share = mask.random_share,
          .mask_id = special.mask,
          .special_ids = {special.pad, special.unk, special.cls, special.sep, special.mask},
          .vocab_size = vocab_size};
}

std::optional<HeldOutScores> evaluate_masked_lm(const model::Encoder& encoder, const data::MaskedBatches& batches,
                                                int64_t rows, int64_t micro_rows, at::Device device,
                                                const util::StopFlag& stop) {
  const c10::NoGradGuard no_grad;
  double loss_sum = 0;
  int64_t correct = 0;
  HeldOutScores scores;
  for (int64_t first = 0; first < rows; first += micro_rows) {
    if (stop.requested()) {
      return std::nullopt;
    }
    const BatchTensors tensors = tensors_of(batches.assemble(first, std::min(micro_rows, rows - first)), device);
    const at::Tensor states = encoder.encode_at(tensors.input, tensors.positions);  // [masked, hidden]
    const at::Tensor logits = encoder.masked_lm_logits(states);                     // [masked, vocab]
    const at::Tensor picked = logits.gather(1, tensors.targets.unsqueeze(1)).squeeze(1);
    loss_sum += (at::logsumexp(logits, {1}) - picked).sum(at::kDouble).item<double>();
    correct += (at::argmax(logits, 1) == tensors.targets).sum().item<int64_t>();
    scores.masked_tokens += tensors.targets.numel();
  }
  const auto count = static_cast<double>(std::max<int64_t>(1, scores.masked_tokens));
  scores.loss = loss_sum / count;
  scores.accuracy = static_cast<double>(correct) / count;
  return scores;
}

}  // namespace bertcram::train
