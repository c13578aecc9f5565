#include "bertcram/train/text_batch.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "bertcram/nn/to_device.h"
#include "bertcram/util/error.h"

namespace bertcram::train {
namespace {

/// Special tokens around a text, or a pair.
int64_t marks_of(bool is_pair) { return is_pair ? 3 : 2; }

}  // namespace

EncodedText encode_text(const text::Tokenizer& tokenizer, std::string_view text_a,
                        std::optional<std::string_view> text_b, int64_t max_tokens, int64_t& truncated) {
  const int64_t marks = marks_of(text_b.has_value());
  if (max_tokens <= marks) {
    throw ConfigError(cat(max_tokens, " tokens have no room for text; [CLS] and [SEP] take ", marks));
  }
  const text::SpecialTokens& special = tokenizer.special();
  std::vector<int32_t> a;
  std::vector<int32_t> b;
  tokenizer.encode(text_a, a);
  if (text_b) {
    tokenizer.encode(*text_b, b);
  }
  const size_t room = static_cast<size_t>(max_tokens - marks);
  if (a.size() + b.size() > room) {
    ++truncated;
    const bool is_b_shorter = a.size() > b.size();
    std::vector<int32_t>& shorter = is_b_shorter ? b : a;
    std::vector<int32_t>& longer = is_b_shorter ? a : b;
    shorter.resize(std::min(shorter.size(), room / 2));
    longer.resize(room - shorter.size());
  }
  EncodedText encoded;
  encoded.ids.push_back(special.cls);
  encoded.ids.insert(encoded.ids.end(), a.begin(), a.end());
  encoded.ids.push_back(special.sep);
  encoded.first_segment = static_cast<int32_t>(encoded.ids.size());
  if (text_b) {
    encoded.ids.insert(encoded.ids.end(), b.begin(), b.end());
    encoded.ids.push_back(special.sep);
  }
  return encoded;
}

int64_t tokens_of_text(int64_t asked, int64_t usual, int64_t positions, bool is_pair) {
  const int64_t wanted = asked > 0 ? asked : usual;
  const int64_t fewest = marks_of(is_pair) + 1;
  if (wanted < fewest) {
    throw ConfigError(cat("--max-tokens ", wanted, ": no text fits beside [CLS] and ", is_pair ? "two " : "",
                          "[SEP]; expected at least ", fewest));
  }
  return std::min(wanted, positions);
}

model::EncoderInput padded_batch(std::span<const EncodedText> texts, std::span<const int64_t> chosen, int32_t pad_id,
                                 at::ScalarType compute_type, at::Device device) {
  const auto batch = static_cast<int64_t>(chosen.size());
  int64_t seq = 0;
  bool is_padded = false;
  for (const int64_t index : chosen) {
    const auto length = static_cast<int64_t>(texts[static_cast<size_t>(index)].ids.size());
    is_padded = is_padded || (seq != 0 && length != seq);
    seq = std::max(seq, length);
  }
  at::Tensor ids = at::full({batch, seq}, pad_id, at::kInt);
  at::Tensor types = at::zeros({batch, seq}, at::kInt);
  at::Tensor bias = at::zeros({batch, 1, 1, seq}, at::kFloat);
  for (int64_t row = 0; row < batch; ++row) {
    const EncodedText& text = texts[static_cast<size_t>(chosen[static_cast<size_t>(row)])];
    const auto length = static_cast<int64_t>(text.ids.size());
    std::ranges::copy(text.ids, ids.data_ptr<int32_t>() + row * seq);
    std::fill(types.data_ptr<int32_t>() + row * seq + text.first_segment,
              types.data_ptr<int32_t>() + row * seq + length, 1);
    std::fill(bias.data_ptr<float>() + row * seq + length, bias.data_ptr<float>() + (row + 1) * seq,
              -std::numeric_limits<float>::infinity());
  }
  return {.ids = nn::to_device(ids, device),
          .token_types = nn::to_device(types, device),
          .key_bias = is_padded ? nn::to_device(bias, device).to(compute_type) : at::Tensor()};
}

}  // namespace bertcram::train
