#include "token_guesses.h"

#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <string>

namespace bertcram::train {

std::vector<std::vector<Guess>> most_probable_tokens(const at::Tensor& logits, const text::Tokenizer& tokenizer,
                                                     int64_t most) {
  const int64_t count = std::min(most, tokenizer.vocab_size());
  const auto [values, best] =
      at::topk(at::softmax(logits, -1).narrow(1, 0, tokenizer.vocab_size()), count);  // [rows, count]
  const at::Tensor probabilities = values.to(at::kCPU).contiguous();
  const at::Tensor ids = best.to(at::kCPU).contiguous();
  std::vector<std::vector<Guess>> guesses(static_cast<size_t>(logits.size(0)));
  for (int64_t i = 0; i < ids.numel(); ++i) {
    const auto id = static_cast<int32_t>(ids.const_data_ptr<int64_t>()[i]);
    guesses[static_cast<size_t>(i / count)].push_back(
        {.token = std::string(tokenizer.token(id)), .id = id, .probability = probabilities.const_data_ptr<float>()[i]});
  }
  return guesses;
}

}  // namespace bertcram::train
