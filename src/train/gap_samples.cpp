#include "gap_samples.h"

#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <optional>
#include <span>

#include "bertcram/util/random.h"
#include "token_guesses.h"

namespace bertcram::train {
namespace {

constexpr int64_t kGaps = 4;
constexpr int64_t kTokensAround = 30;  ///< with the gap, without [CLS] and [SEP]
constexpr int64_t kGuesses = 3;

/// Whether the token is the beginning of a word, as far as pieces tell.
bool can_be_asked_for(const text::Tokenizer& tokenizer, int32_t id) {
  const text::SpecialTokens& special = tokenizer.special();
  const bool is_special =
      id == special.pad || id == special.unk || id == special.cls || id == special.sep || id == special.mask;
  return !is_special && !tokenizer.token(id).starts_with("##");
}

/// @param number  of the gap, which the choice is a function of
std::optional<int64_t> choose_place(const text::Tokenizer& tokenizer, std::span<const int32_t> row, int64_t number) {
  std::vector<int64_t> places;
  for (size_t i = 0; i < row.size(); ++i) {
    if (can_be_asked_for(tokenizer, row[i])) {
      places.push_back(static_cast<int64_t>(i));
    }
  }
  if (places.empty()) {
    return std::nullopt;
  }
  constexpr uint64_t kKey = 0x6761702d73616d70;  // its own, so that no other choice depends on this one
  util::RandomStream random(util::mix_key({kKey, static_cast<uint64_t>(number)}));
  return places[random.below(places.size())];
}

}  // namespace

GapSamples::GapSamples(const data::RowStore& rows, const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  const text::SpecialTokens& special = tokenizer.special();
  const int64_t count = std::min(kGaps, rows.rows());
  std::vector<int32_t> row(static_cast<size_t>(rows.seq_len()));
  for (int64_t number = 0; number < count; ++number) {
    rows.read_row(number * rows.rows() / count, row);
    const auto place = choose_place(tokenizer, row, number);
    if (!place) {
      continue;
    }
    const auto is_border = [&](int32_t id) { return id == special.sep || id == special.cls; };
    const auto gap = row.begin() + *place;
    const auto document_begin = std::find_if(std::make_reverse_iterator(gap), row.rend(), is_border).base();
    const auto document_end = std::find_if(gap, row.end(), is_border);
    const int64_t room = std::min<int64_t>(kTokensAround, rows.seq_len() - 2);  // the model has no more positions
    const auto begin = gap - std::min<int64_t>(gap - document_begin, room / 2);
    const auto end = begin + std::min<int64_t>(document_end - begin, room);
    Gap made = {.ids = {special.cls}, .position = 1 + (gap - begin), .truth = *gap};
    made.ids.insert(made.ids.end(), begin, end);
    made.ids.push_back(special.sep);
    made.ids[static_cast<size_t>(made.position)] = special.mask;
    gaps_.push_back(std::move(made));
  }
}

std::vector<GapSample> GapSamples::fill(const model::Encoder& masked_lm, at::Device device) const {
  const c10::NoGradGuard no_gradients;
  std::vector<GapSample> samples;
  for (const Gap& gap : gaps_) {
    const at::Tensor ids = at::tensor(gap.ids, at::kInt).unsqueeze(0).to(device);                       // [1, seq]
    const at::Tensor position = at::tensor(std::vector<int64_t>{gap.position}, at::kLong).to(device);   // [1]
    const at::Tensor logits = masked_lm.masked_lm_logits(masked_lm.encode_at({.ids = ids}, position));  // [1, vocab]
    const std::span<const int32_t> all = gap.ids;
    const auto place = static_cast<size_t>(gap.position);
    samples.push_back({.before = tokenizer_.decode(all.subspan(1, place - 1)),
                       .after = tokenizer_.decode(all.subspan(place + 1, all.size() - place - 2)),
                       .truth = std::string(tokenizer_.token(gap.truth)),
                       .top = most_probable_tokens(logits, tokenizer_, kGuesses).front()});
  }
  return samples;
}

}  // namespace bertcram::train
