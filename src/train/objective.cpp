#include "bertcram/train/objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "batch_tensors.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/train/masked_lm.h"
#include "bertcram/train/runtime.h"
#include "bertcram/train/schedule.h"

namespace bertcram::train {
namespace {

using config::PretrainConfig;

class MaskedLmObjective : public Objective {
 public:
  MaskedLmObjective(const PretrainConfig& config, const model::EncoderShape& shape, const nn::Parameters& parameters)
      : Objective(parameters.device()),
        mask_prob_(config.mask.mean_prob()),
        encoder_(model::make_encoder(shape, {}, parameters)) {}

  BatchLoss loss(const BatchTensors& tensors, double /*mask_prob*/,
                 const model::EncodeOptions& options) const override {
    const at::Tensor states = encoder_->encode_at(tensors.input, tensors.positions, options);
    const at::Tensor sum = encoder_->masked_lm_loss(states, tensors.targets);
    return {.total = sum, .masked_lm = sum.detach()};
  }

  bool needs_mask_prob() const override { return false; }

  std::optional<HeldOutScores> evaluate(const data::MaskedBatches& batches, int64_t rows, int64_t micro_rows,
                                        const util::StopFlag& stop) const override {
    return evaluate_masked_lm(*encoder_, batches, rows, micro_rows, device(), stop);
  }

  const model::Encoder& masked_lm() const override { return *encoder_; }

  double flops_per_token(int64_t seq_len) const override {
    return model::flops_per_token(encoder_->shape(), seq_len, {.states = mask_prob_, .decoded = mask_prob_});
  }

  std::vector<TrainedModel> models() const override {
    return {{.folder = "model", .shape = encoder_->shape(), .head = {}, .prefix = ""}};
  }

 private:
  double mask_prob_;
  std::unique_ptr<model::Encoder> encoder_;
};

/// A generator fills in the masked tokens, a discriminator tells which tokens are not the original ones.
class ReplacedTokenObjective : public Objective {
 public:
  ReplacedTokenObjective(const PretrainConfig& config, const model::EncoderShape& shape,
                         const nn::Parameters& parameters)
      : Objective(parameters.device()),
        mask_prob_(config.mask.mean_prob()),
        token_weight_(config.rtd.discriminator_weight),
        generator_(model::make_encoder(model::generator_shape(config, shape), {}, parameters, model::kGeneratorPrefix)),
        discriminator_(model::make_encoder(shape, model::replaced_token_head(), parameters)) {}

  BatchLoss loss(const BatchTensors& tensors, double mask_prob, const model::EncodeOptions& options) const override {
    const at::Tensor states = generator_->encode_at(tensors.input, tensors.positions, options);
    const auto generated = generator_->masked_lm_loss_and_samples(states, tensors.targets);
    const Question question = ask(tensors, generated.samples);
    const at::Tensor scores = answer(question, {.dropout = options.dropout.at(0), .recompute = options.recompute});
    const at::Tensor sum = at::cross_entropy_loss(scores, question.is_replaced, {}, at::Reduction::Sum);
    // Both are divided by the number of predictions later, which is mask_prob times that of the tokens.
    return {.total = generated.loss + token_weight_ * mask_prob * sum,
            .masked_lm = generated.loss.detach(),
            .replaced_tokens = sum.detach(),
            .replaced_tokens_correct = at::argmax(scores.detach(), 1).eq(question.is_replaced).sum().to(at::kFloat)};
  }

  std::optional<HeldOutScores> evaluate(const data::MaskedBatches& batches, int64_t rows, int64_t micro_rows,
                                        const util::StopFlag& stop) const override {
    const c10::NoGradGuard no_grad;
    Sums sums;
    for (int64_t first = 0; first < rows; first += micro_rows) {
      if (stop.requested()) {
        return std::nullopt;
      }
      seed_generators(static_cast<uint64_t>(first));  // the same samples whenever as many rows of a pass begin here
      score(tensors_of(batches.assemble(first, std::min(micro_rows, rows - first)), device()), sums);
    }
    const auto share = [](double part, double whole) { return part / std::max(1.0, whole); };
    return HeldOutScores{.loss = share(sums.masked_lm, sums.masked),
                         .accuracy = share(sums.predicted, sums.masked),
                         .masked_tokens = static_cast<int64_t>(sums.masked),
                         .replaced_tokens = ReplacedTokenScores{.loss = share(sums.discriminator, sums.tokens),
                                                                .accuracy = share(sums.told, sums.tokens),
                                                                .replaced_share = share(sums.replaced, sums.tokens),
                                                                .found = share(sums.found, sums.replaced)}};
  }

  const model::Encoder& masked_lm() const override { return *generator_; }

  double flops_per_token(int64_t seq_len) const override {
    return model::flops_per_token(generator_->shape(), seq_len, {.states = mask_prob_, .decoded = mask_prob_}) +
           model::flops_per_token(discriminator_->shape(), seq_len, {});
  }

  std::vector<TrainedModel> models() const override {
    return {{.folder = "model", .shape = discriminator_->shape(), .head = model::replaced_token_head(), .prefix = ""},
            {.folder = "generator", .shape = generator_->shape(), .head = {}, .prefix = model::kGeneratorPrefix}};
  }

  bool needs_mask_prob() const override { return true; }

 private:
  /// Of held-out rows.
  struct Sums {
    double masked_lm = 0;
    double masked = 0;
    double predicted = 0;  ///< masked tokens that the generator knows
    double discriminator = 0;
    double tokens = 0;
    double told = 0;  ///< tokens that the discriminator judges right
    double replaced = 0;
    double found = 0;
  };

  void score(const BatchTensors& tensors, Sums& sums) const {
    const at::Tensor states = generator_->encode_at(tensors.input, tensors.positions);
    const auto generated = generator_->masked_lm_loss_and_samples(states, tensors.targets);
    const Question question = ask(tensors, generated.samples);
    const at::Tensor scores = answer(question, {});
    const at::Tensor told = at::argmax(scores, 1);  // [batch * seq]
    sums.masked_lm += generated.loss.item<double>();
    sums.masked += static_cast<double>(tensors.targets.numel());
    sums.predicted += generated.correct.item<double>();
    sums.discriminator += at::cross_entropy_loss(scores, question.is_replaced, {}, at::Reduction::Sum).item<double>();
    sums.tokens += static_cast<double>(told.numel());
    sums.told += told.eq(question.is_replaced).sum().item<double>();
    sums.replaced += question.is_replaced.sum().item<double>();
    sums.found += (told * question.is_replaced).sum().item<double>();
  }

  struct Question {
    at::Tensor ids;          ///< [batch, seq]
    at::Tensor is_replaced;  ///< [batch * seq] int64; a sample that is the original token counts as original
  };

  static Question ask(const BatchTensors& tensors, const at::Tensor& samples) {
    const at::Tensor original =
        tensors.input.ids.flatten().to(at::kLong).index_copy(0, tensors.positions, tensors.targets);
    const at::Tensor ids = original.index_copy(0, tensors.positions, samples);
    return {.ids = ids.view(tensors.input.ids.sizes()), .is_replaced = ids.ne(original).to(at::kLong)};
  }

  /// @return [batch * seq, 2] fp32
  at::Tensor answer(const Question& question, const model::EncodeOptions& options) const {
    return discriminator_->classify_tokens(discriminator_->encode({.ids = question.ids}, options), options.dropout)
        .flatten(0, 1);
  }

  double mask_prob_;
  double token_weight_;
  std::unique_ptr<model::Encoder> generator_;
  std::unique_ptr<model::Encoder> discriminator_;
};

}  // namespace

BatchLoss Objective::loss(const data::MaskedBatch& batch, const model::EncodeOptions& options) const {
  return loss(tensors_of(batch, device_), batch.mask_prob, options);
}

void BatchLoss::add(const BatchLoss& other) {
  const auto add_one = [](const at::Tensor& one, at::Tensor& sum) { sum = sum.defined() ? sum.add(one) : one; };
  add_one(other.masked_lm, masked_lm);
  if (other.replaced_tokens.defined()) {
    add_one(other.replaced_tokens, replaced_tokens);
    add_one(other.replaced_tokens_correct, replaced_tokens_correct);
  }
}

std::vector<nn::ParameterSpec> objective_specs(const PretrainConfig& config, const model::EncoderShape& shape) {
  return config.objective == config::Objective::kMlm
             ? model::parameter_specs(shape, {})
             : model::replaced_token_specs(shape, model::generator_shape(config, shape));
}

std::unique_ptr<Objective> make_objective(const PretrainConfig& config, const model::EncoderShape& shape,
                                          const nn::Parameters& parameters) {
  if (config.objective == config::Objective::kMlm) {
    return std::make_unique<MaskedLmObjective>(config, shape, parameters);
  }
  return std::make_unique<ReplacedTokenObjective>(config, shape, parameters);
}

}  // namespace bertcram::train
