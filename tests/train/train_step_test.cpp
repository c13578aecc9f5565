// One step: passes that find no memory, gradients that are no numbers, stops between passes, and fp16's scaled loss.

#include "train/train_step.h"

#include <ATen/TensorOperators.h>

#include <functional>

#include "bertcram/train/masked_lm.h"
#include "bertcram/util/error.h"
#include "nn/tensor_support.h"
#include "train/pretrain_support.h"
#include "train/run_data.h"

namespace bertcram::train {
namespace {

using test::near;
using test::same_bits;

/// An objective that first calls back.
class Hooked : public Objective {
 public:
  using Hook = std::function<void(const data::MaskedBatch&, const model::EncodeOptions&, BatchLoss&)>;
  Hooked(std::unique_ptr<Objective> inner, Hook hook)
      : Objective(at::kCPU), inner_(std::move(inner)), hook_(std::move(hook)) {}

  BatchLoss loss(const data::MaskedBatch& batch, const model::EncodeOptions& options) const override {
    BatchLoss loss = inner_->loss(batch, options);
    hook_(batch, options, loss);
    return loss;
  }
  BatchLoss loss(const BatchTensors& tensors, double mask_prob, const model::EncodeOptions& options) const override {
    return inner_->loss(tensors, mask_prob, options);
  }
  bool needs_mask_prob() const override { return inner_->needs_mask_prob(); }
  std::optional<HeldOutScores> evaluate(const data::MaskedBatches& batches, int64_t rows, int64_t micro_rows,
                                        const util::StopFlag& stop) const override {
    return inner_->evaluate(batches, rows, micro_rows, stop);
  }
  const model::Encoder& masked_lm() const override { throw InternalError("nobody asks"); }
  double flops_per_token(int64_t seq_len) const override { return inner_->flops_per_token(seq_len); }
  std::vector<TrainedModel> models() const override { return inner_->models(); }

 private:
  std::unique_ptr<Objective> inner_;
  Hook hook_;
};

class TrainStepTest : public test::PretrainTest {
 protected:
  /// A state of its own, and a step on it.
  struct Trainee {
    Trainee(const config::PretrainConfig& given, const RunData& data)
        : config(given),
          runtime(set_up_runtime(config.runtime)),
          batches(data.train, masking_options(data.tokenizer->special(), data.manifest.vocab_size, config.mask), 4,
                  data::RowOrder::kShuffled),
          shape(model::make_shape(config.model, data.manifest.vocab_size, data.tokenizer->special().pad)),
          state(config, shape, runtime),
          step(config, runtime, batches, state) {
      step.choose_passes({});
    }
    void hook(Hooked::Hook hook) {
      state.objective = std::make_unique<Hooked>(std::move(state.objective), std::move(hook));
    }
    std::optional<StepFigures> run(int64_t rows = 8, double learning_rate = 0.01) {
      return step.run({.learning_rate = learning_rate, .rows = rows, .mask_prob = 0.15}, stop);
    }
    config::PretrainConfig config;
    Runtime runtime;
    data::MaskedBatches batches;
    model::EncoderShape shape;
    TrainingState state;
    TrainStep step;
    util::StopFlag stop;
  };

  config::PretrainConfig without_dropout(config::Precision precision = config::Precision::kFp32) const {
    auto config = config_for("run", precision);
    config.model.dropout = 0;  // its draws depend on the passes
    return config;
  }

  RunData data_{scratch_ / "packed"};
};

TEST_F(TrainStepTest, APassWithoutMemoryBeginsTheStepAgainWithHalfOfTheRows) {
  Trainee whole(without_dropout(), data_);
  Trainee tight(without_dropout(), data_);
  int refused = 0;
  bool is_first_pass = true;
  tight.hook([&](const data::MaskedBatch& batch, const model::EncodeOptions&, BatchLoss&) {
    if (batch.rows > 1 && !is_first_pass) {  // after a pass whose gradients are in the sum already
      ++refused;
      is_first_pass = batch.rows > 2;
      throw std::bad_alloc();
    }
    is_first_pass = false;
  });
  const auto expected = whole.run();
  const auto figures = tight.run();
  ASSERT_TRUE(figures);
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(tight.step.passes().rows, 1);
  EXPECT_EQ(tight.state.position.step, 1);
  EXPECT_EQ(tight.state.position.samples, 8);
  EXPECT_NEAR(figures->loss, expected->loss, 1e-5);
  EXPECT_NEAR(figures->gradient_norm, expected->gradient_norm, 1e-4 * expected->gradient_norm);
}

TEST_F(TrainStepTest, OneRowWithoutMemoryIsTheEnd) {
  for (const char* words :
       {"CUDA out of memory. Tried to allocate 2 GiB", "DefaultCPUAllocator: can't allocate memory"}) {
    Trainee trainee(without_dropout(), data_);
    std::vector<model::Recompute> modes;
    trainee.hook([&](const data::MaskedBatch&, const model::EncodeOptions& options, BatchLoss&) {
      modes.push_back(options.recompute);
      throw std::runtime_error(words);
    });
    EXPECT_THROW(trainee.run(), std::runtime_error);
    EXPECT_EQ(trainee.step.passes().rows, 1) << words;
    EXPECT_EQ(modes,
              (std::vector{model::Recompute::kNever, model::Recompute::kNever, model::Recompute::kNever,
                           model::Recompute::kPerLayer, model::Recompute::kPerLayer, model::Recompute::kPerLayer}))
        << "4, 2 and 1 rows, and the same again that recompute";
  }
}

TEST_F(TrainStepTest, AnotherErrorIsNotTakenForOne) {
  Trainee trainee(without_dropout(), data_);
  trainee.hook(
      [&](const data::MaskedBatch&, const model::EncodeOptions&, BatchLoss&) { throw InternalError("a bug"); });
  EXPECT_THROW(trainee.run(), InternalError);
  EXPECT_EQ(trainee.step.passes().rows, 4);
}

TEST_F(TrainStepTest, AGradientThatIsNotFiniteChangesNoWeightAndTheDataGoesOn) {
  for (const auto precision : {config::Precision::kFp32, config::Precision::kBf16}) {
    Trainee trainee(without_dropout(precision), data_);
    bool is_broken = true;
    trainee.hook([&](const data::MaskedBatch&, const model::EncodeOptions&, BatchLoss& loss) {
      if (is_broken) {
        loss.total = loss.total * std::numeric_limits<double>::quiet_NaN();
      }
    });
    const at::Tensor before = trainee.state.parameters.masters().clone();
    EXPECT_EQ(trainee.run()->outcome, StepOutcome::kNotFinite);
    EXPECT_TRUE(same_bits(trainee.state.parameters.masters(), before));
    EXPECT_EQ(trainee.state.position.step, 1);
    EXPECT_EQ(trainee.state.position.samples, 8);
    EXPECT_EQ(trainee.state.optimizer.steps_done(), 0);
    is_broken = false;
    const auto figures = trainee.run();
    EXPECT_EQ(figures->outcome, StepOutcome::kDone);
    EXPECT_TRUE(std::isfinite(figures->gradient_norm)) << "nothing of the bad step is left";
    EXPECT_FALSE(same_bits(trainee.state.parameters.masters(), before));
  }
}

TEST_F(TrainStepTest, AStopBetweenPassesChangesNothing) {
  Trainee trainee(without_dropout(), data_);
  trainee.hook([&](const data::MaskedBatch&, const model::EncodeOptions&, BatchLoss&) { trainee.stop.request(15); });
  const at::Tensor before = trainee.state.parameters.masters().clone();
  EXPECT_FALSE(trainee.run());
  EXPECT_TRUE(same_bits(trainee.state.parameters.masters(), before));
  EXPECT_EQ(trainee.state.parameters.gradients().abs().max().item<double>(), 0.0);
  EXPECT_EQ(trainee.state.position.step, 0);
}

TEST_F(TrainStepTest, TheRateIsHalvedOnceTheRunHasGoneBack) {
  Trainee trainee(without_dropout(), data_);
  trainee.state.position.rate_factor = 0.5;
  EXPECT_DOUBLE_EQ(trainee.run(8, 0.01)->learning_rate, 0.005);
}

TEST_F(TrainStepTest, ABatchOfAnotherSizeIsThatManyRows) {
  Trainee trainee(without_dropout(), data_);
  EXPECT_EQ(trainee.run(3)->tokens, 3 * 16);
  EXPECT_EQ(trainee.state.position.samples, 3);
  EXPECT_EQ(trainee.state.position.tokens, 3 * 16);
}

TEST_F(TrainStepTest, InFp16TheScaleOfTheLossDoesNotShow) {
  Trainee half(without_dropout(config::Precision::kFp16), data_);
  Trainee full(without_dropout(), data_);
  EXPECT_EQ(half.state.scaler.factor(), 1024.0);
  for (int step = 0; step < 3; ++step) {
    const auto figures = half.run();
    const auto expected = full.run();
    ASSERT_EQ(figures->outcome, StepOutcome::kDone);
    EXPECT_NEAR(figures->loss, expected->loss, 2e-3 * expected->loss);
    EXPECT_NEAR(figures->gradient_norm, expected->gradient_norm, 0.02 * expected->gradient_norm);
  }
}

TEST_F(TrainStepTest, AnOverflowInFp16HalvesTheScaleAndSkipsTheStep) {
  Trainee trainee(without_dropout(config::Precision::kFp16), data_);
  trainee.hook([&](const data::MaskedBatch&, const model::EncodeOptions&, BatchLoss& loss) {
    if (trainee.state.scaler.factor() > 300.0) {
      loss.total = loss.total * std::numeric_limits<double>::infinity();
    }
  });
  EXPECT_EQ(trainee.run()->outcome, StepOutcome::kScaleOverflow);
  EXPECT_EQ(trainee.run()->outcome, StepOutcome::kScaleOverflow);
  EXPECT_EQ(trainee.run()->outcome, StepOutcome::kDone);
  EXPECT_EQ(trainee.state.scaler.factor(), 256.0);
  EXPECT_EQ(trainee.state.position.loss_scale.factor, 256.0);
  EXPECT_EQ(trainee.state.optimizer.steps_done(), 1);
}

TEST_F(TrainStepTest, ASearchTakesWhatFitsAndRecomputesWhereNothingDoes) {
  Trainee trainee(without_dropout(), data_);
  const at::Tensor before = trainee.state.parameters.masters().clone();
  trainee.hook([&](const data::MaskedBatch& batch, const model::EncodeOptions& options, BatchLoss&) {
    if (batch.rows > 2 || options.recompute == model::Recompute::kNever) {
      throw std::bad_alloc();
    }
  });
  trainee.step.search_passes();
  EXPECT_EQ(trainee.step.passes().rows, 2);
  EXPECT_TRUE(trainee.step.passes().recomputes);
  EXPECT_TRUE(same_bits(trainee.state.parameters.masters(), before));
  EXPECT_EQ(trainee.state.parameters.gradients().abs().max().item<double>(), 0.0);
  EXPECT_EQ(trainee.state.position.samples, 0) << "no row is used up by trying";
  Trainee resumed(without_dropout(), data_);
  resumed.config.batch.micro_rows = 0;
  resumed.step.choose_passes(trainee.step.passes());
  EXPECT_EQ(resumed.step.passes().rows, 2);
  EXPECT_TRUE(resumed.step.passes().recomputes) << "a run goes on as it began";
}

TEST_F(TrainStepTest, ASearchInVainSaysSo) {
  Trainee trainee(without_dropout(), data_);
  trainee.hook([&](const data::MaskedBatch&, const model::EncodeOptions&, BatchLoss&) { throw std::bad_alloc(); });
  EXPECT_THROW(trainee.step.search_passes(), ResourceError);
}

TEST_F(TrainStepTest, AutomaticPassesAreSomeFourThousandTokensOnACpu) {
  auto config = without_dropout();
  config.batch = {.rows = 1000, .micro_rows = 0};
  Trainee trainee(config, data_);
  EXPECT_EQ(trainee.step.passes().rows, 256);
  trainee.step.choose_passes({.rows = 7});
  EXPECT_EQ(trainee.step.passes().rows, 7) << "a run goes on as it began";
  config.batch.micro_rows = 5;
  Trainee chosen(config, data_);
  chosen.step.choose_passes({.rows = 7});
  EXPECT_EQ(chosen.step.passes().rows, 5);
}

}  // namespace
}  // namespace bertcram::train
