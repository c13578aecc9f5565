#include "bertcram/train/mask_filler.h"

#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <span>
#include <string>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/train/batches.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/text_batch.h"
#include "bertcram/util/error.h"
#include "token_guesses.h"

namespace bertcram::train {
namespace {

class ModelMaskFiller : public MaskFiller {
 public:
  ModelMaskFiller(const config::FillMaskConfig& config, checkpoint::ModelDirectory source)
      : name_(config.model),
        top_k_(config.top_k),
        tokenizer_(std::move(source.tokenizer)),
        runtime_(set_up_runtime(config.runtime)),
        model_(source, source.head, runtime_) {}

  std::vector<FilledMask> fill(std::string_view text) override {
    const c10::NoGradGuard no_gradients;
    int64_t truncated = 0;
    const EncodedText encoded = encode_text(*tokenizer_, text, std::nullopt, model_.shape().max_positions, truncated);
    if (truncated > 0) {
      throw DataError(
          cat("a text of more than the ", model_.shape().max_positions, " tokens that the model takes; shorten it"));
    }
    std::vector<int64_t> masks;
    for (size_t i = 0; i < encoded.ids.size(); ++i) {
      if (encoded.ids[i] == tokenizer_->special().mask) {
        masks.push_back(static_cast<int64_t>(i));
      }
    }
    if (masks.empty()) {
      throw DataError(
          cat("a text without ", tokenizer_->token(tokenizer_->special().mask), "; put it where a word is wanted"));
    }
    constexpr int64_t kOnly = 0;
    const auto input =
        padded_batch({&encoded, 1}, {&kOnly, 1}, model_.shape().pad_id, runtime_.compute_type, runtime_.device);
    const at::Tensor positions = at::tensor(masks, at::kLong).to(runtime_.device);
    const at::Tensor logits = model_.encoder().masked_lm_logits(model_.encoder().encode_at(input, positions));
    const auto guesses = most_probable_tokens(logits, *tokenizer_, top_k_);
    std::vector<FilledMask> filled;
    for (size_t i = 0; i < masks.size(); ++i) {
      for (const Guess& guess : guesses[i]) {
        require_numbers({&guess.probability, 1}, "probabilities", name_);
      }
      filled.push_back({.position = masks[i], .top = guesses[i]});
    }
    return filled;
  }

 private:
  std::string name_;  ///< of the model's folder, for errors
  int64_t top_k_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  Runtime runtime_;
  LoadedModel model_;
};

}  // namespace

std::unique_ptr<MaskFiller> open_mask_filler(const config::FillMaskConfig& config) {
  auto source = checkpoint::open_model_directory(config.model);
  checkpoint::require_masked_lm(source);
  return std::make_unique<ModelMaskFiller>(config, std::move(source));
}

}  // namespace bertcram::train
