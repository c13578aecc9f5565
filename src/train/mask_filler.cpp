#include "bertcram/train/mask_filler.h"

#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <span>
#include <string>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/train/batches.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/text_batch.h"
#include "bertcram/util/error.h"

namespace bertcram::train {
namespace {

class ModelMaskFiller : public MaskFiller {
 public:
  ModelMaskFiller(const config::FillMaskConfig& config, checkpoint::ModelDirectory source)
      : name_(config.model),
        top_k_(std::min(config.top_k, source.tokenizer->vocab_size())),
        tokenizer_(std::move(source.tokenizer)),
        runtime_(resolve_runtime(config.runtime)),
        model_(source, source.head, runtime_) {}

  std::vector<FilledMask> fill(std::string_view text) override {
    const c10::NoGradGuard no_gradients;
    int64_t truncated = 0;
    const EncodedText encoded =
        encode_text(*tokenizer_, std::string(text), "", model_.shape().max_positions, truncated);
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
    return best_of(at::softmax(logits, -1), masks);
  }

 private:
  /// @param probabilities  [masks, vocab] fp32
  std::vector<FilledMask> best_of(const at::Tensor& probabilities, const std::vector<int64_t>& masks) const {
    const auto [values, ids] =
        at::topk(probabilities.narrow(1, 0, tokenizer_->vocab_size()), top_k_);  // [masks, top_k] each
    const at::Tensor host_values = values.to(at::kCPU).contiguous();
    require_numbers(std::span(host_values.const_data_ptr<float>(), static_cast<size_t>(host_values.numel())),
                    "probabilities", name_);
    const at::Tensor host_ids = ids.to(at::kCPU).contiguous();
    std::vector<FilledMask> filled;
    for (size_t mask = 0; mask < masks.size(); ++mask) {
      filled.push_back({.position = masks[mask], .top = {}});
      for (int64_t k = 0; k < top_k_; ++k) {
        const int64_t at = static_cast<int64_t>(mask) * top_k_ + k;
        const auto id = static_cast<int32_t>(host_ids.const_data_ptr<int64_t>()[at]);
        filled.back().top.push_back({.token = std::string(tokenizer_->token(id)),
                                     .id = id,
                                     .probability = host_values.const_data_ptr<float>()[at]});
      }
    }
    return filled;
  }

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
