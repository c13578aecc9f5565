#include "bertcram/train/embedder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/checkpoint/sentence_modules.h"
#include "bertcram/train/batches.h"
#include "bertcram/train/loaded_model.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/text_batch.h"
#include "bertcram/util/error.h"
#include "bertcram/util/parallel.h"

namespace bertcram::train {
namespace {

/// Lengths in one batch differ by at most this share, so that hardly any padding is computed.
constexpr int64_t kLengthsPerSlack = 16;

class ModelEmbedder : public Embedder {
 public:
  ModelEmbedder(const config::EmbedConfig& config, checkpoint::ModelDirectory source, const util::StopFlag& stop)
      : config_(config),
        stop_(stop),
        tokenizer_(std::move(source.tokenizer)),
        max_tokens_(tokens_of_text(config.max_tokens, source.shape.max_positions, source.shape.max_positions, false)),
        runtime_(set_up_runtime(config.runtime)),
        model_(source, {.kind = model::HeadKind::kNone}, runtime_) {}

  int64_t width() const override { return model_.shape().hidden; }
  int64_t truncated() const override { return truncated_; }

  std::vector<float> embed(std::span<const std::string_view> texts) override {
    const std::vector<EncodedText> encoded = encode(texts);
    std::vector<int64_t> order(texts.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::ranges::greater(), [&](int64_t i) { return length_of(encoded, i); });
    std::vector<std::span<const int64_t>> batches;
    for (std::span<const int64_t> rest = order; !rest.empty(); rest = rest.subspan(batches.back().size())) {
      batches.push_back(rest.first(batch_size(encoded, rest)));
    }
    std::vector<float> vectors(texts.size() * static_cast<size_t>(width()));
    for_each_batch(runtime_, std::ssize(batches), [&](int64_t i) {
      util::throw_if_stopped(stop_, "embed: stopped");
      const auto batch = batches[static_cast<size_t>(i)];
      store(embed_batch(encoded, batch), batch, vectors);
    });
    require_numbers(vectors, "vectors", config_.model);
    return vectors;
  }

 private:
  static int64_t length_of(const std::vector<EncodedText>& encoded, int64_t index) {
    return static_cast<int64_t>(encoded[static_cast<size_t>(index)].ids.size());
  }

  std::vector<EncodedText> encode(std::span<const std::string_view> texts) {
    std::vector<EncodedText> encoded(texts.size());
    std::atomic<int64_t> truncated = 0;
    const auto workers = std::min(runtime_.threads, static_cast<int64_t>(texts.size()));
    util::WorkerGroup group;
    group.run(workers, [&](int64_t worker) {
      int64_t cut = 0;
      for (auto i = static_cast<size_t>(worker); i < texts.size(); i += static_cast<size_t>(workers)) {
        encoded[i] = encode_text(*tokenizer_, texts[i], std::nullopt, max_tokens_, cut);
      }
      truncated += cut;
    });
    truncated_ += truncated;
    return encoded;
  }

  /// How many of the texts, which come by falling length, make the next batch.
  size_t batch_size(const std::vector<EncodedText>& encoded, std::span<const int64_t> rest) const {
    const int64_t longest = length_of(encoded, rest.front());
    const auto most = static_cast<size_t>(std::max<int64_t>(1, config_.batch_tokens / longest));
    size_t size = 1;
    while (size < std::min(most, rest.size()) &&
           length_of(encoded, rest[size]) >= longest - longest / kLengthsPerSlack) {
      ++size;
    }
    return size;
  }

  /// @return [batch, hidden] fp32 on the CPU
  at::Tensor embed_batch(const std::vector<EncodedText>& encoded, std::span<const int64_t> batch) const {
    const model::EncoderInput input =
        padded_batch(encoded, batch, model_.shape().pad_id, runtime_.compute_type, runtime_.device);
    const model::Encoder& encoder = model_.encoder();
    at::Tensor pooled = config_.pooling == config::Pooling::kCls
                            ? encoder.encode_at(input, model::first_positions(input)).to(at::kFloat)
                            : model::mean_of_tokens(encoder.encode(input).to(at::kFloat), input);
    if (config_.normalize) {
      pooled = pooled / at::clamp_min(at::linalg_vector_norm(pooled, 2, -1, /*keepdim=*/true), 1e-12);
    }
    return pooled.to(at::kCPU).contiguous();
  }

  void store(const at::Tensor& pooled, std::span<const int64_t> batch, std::vector<float>& vectors) const {
    const float* from = pooled.const_data_ptr<float>();
    for (const int64_t index : batch) {
      std::copy_n(from, width(), vectors.begin() + index * width());
      from += width();
    }
  }

  config::EmbedConfig config_;
  const util::StopFlag& stop_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  int64_t max_tokens_;
  Runtime runtime_;
  LoadedModel model_;
  int64_t truncated_ = 0;
};

}  // namespace

std::unique_ptr<Embedder> open_embedder(const config::EmbedConfig& config, const util::StopFlag& stop) {
  config::EmbedConfig resolved = config;
  if (config.pooling == config::Pooling::kAuto) {
    const auto modules = checkpoint::read_sentence_modules(config.model);
    resolved.pooling = modules.pooling;
    resolved.normalize = config.normalize || modules.normalize;
    resolved.max_tokens = config.max_tokens > 0 ? config.max_tokens : modules.max_tokens;
  }
  return std::make_unique<ModelEmbedder>(resolved, checkpoint::open_model_directory(config.model), stop);
}

}  // namespace bertcram::train
