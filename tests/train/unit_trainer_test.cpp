// Steps of fine-tuning: batches in passes, losses scaled for fp16, and checkpoints that are of no use.

#include "train/unit_trainer.h"

#include <limits>
#include <memory>

#include "nn/tensor_support.h"
#include "train/finetune_support.h"

namespace bertcram::train {
namespace {

using test::near;
using test::same_bits;

class UnitTrainerTest : public test::FinetuneTest {
 protected:
  UnitTrainerTest() {
    task_.recipe = {.learning_rate = 0.1,
                    .batch_examples = kBatch,
                    .epochs = kEpochs,
                    .epsilon = 1.0,  // AdamW would else make large steps of the rounding of gradients that are zero
                    .dropout_prob = 0.0};  // its draws depend on the passes
  }

  std::unique_ptr<UnitTrainer> trainer(int64_t micro_rows = 0, at::ScalarType type = at::kFloat) const {
    return std::make_unique<UnitTrainer>(
        UnitPlan{.task = task_.spec,
                 .train = task_.train,
                 .recipe = task_.recipe,
                 .seed = 1,
                 .micro_rows = micro_rows,
                 .name = "sst2"},
        UnitStart{.model = model_, .weights = finetune_.model, .weights_hash = "", .max_tokens = task_.max_tokens},
        Runtime{.device = runtime_.device, .compute_type = type, .threads = runtime_.threads});
  }

  static at::Tensor weights_of(UnitTrainer& trainer) { return trainer.parameters().masters().clone(); }

  /// @return the weights after the first `epochs`
  static at::Tensor train_epochs(UnitTrainer& trainer, int64_t epochs) {
    const util::StopFlag never;
    for (int64_t epoch = 0; epoch < epochs; ++epoch) {
      EXPECT_TRUE(trainer.train_epoch(epoch, never, [](int64_t) {}));
    }
    return weights_of(trainer);
  }

  /// By how much training moved the weight that it moved most.
  static double most_moved(const at::Tensor& before, const at::Tensor& after) {
    return (after - before).abs().max().item<double>();
  }

  checkpoint::TrainState saved_state() const {
    return checkpoint::read_state(checkpoint::list_checkpoints(checkpoints_).at(0));
  }

  const std::filesystem::path checkpoints_ = scratch_ / "checkpoints";
};

TEST_F(UnitTrainerTest, ABatchInPassesIsTheSameBatch) {
  constexpr double kTolerance = 1e-5;
  const auto whole = trainer();
  const at::Tensor before = weights_of(*whole);
  const at::Tensor expected = train_epochs(*whole, 1);
  EXPECT_GT(most_moved(before, expected), 100 * kTolerance);
  for (const int64_t rows : {1, 2, 3}) {
    EXPECT_TRUE(near(train_epochs(*trainer(rows), 1), expected, kTolerance)) << "in passes of " << rows;
  }
}

TEST_F(UnitTrainerTest, InFp16TheScaleOfTheLossDoesNotShow) {
  const auto full = trainer();
  const at::Tensor before = weights_of(*full);
  const at::Tensor expected = train_epochs(*full, 1);
  const auto half = trainer(/*micro_rows=*/0, at::kHalf);
  half->use_checkpoints(checkpoints_);
  EXPECT_TRUE(near(train_epochs(*half, 1), expected, 0.1 * most_moved(before, expected)));
  half->save();
  EXPECT_EQ(saved_state().loss_scale.factor, 1024.0);
  EXPECT_EQ(saved_state().optimizer_steps, half->steps_done()) << "none was skipped";
}

TEST_F(UnitTrainerTest, AnOverflowInFp16SkipsStepsUntilTheScaleFits) {
  constexpr double kMuchTooLarge = 16777216.0;
  {
    const auto first = trainer(/*micro_rows=*/0, at::kHalf);
    first->use_checkpoints(checkpoints_);
    train_epochs(*first, 1);
    first->save();
  }
  checkpoint::TrainState state = saved_state();
  state.loss_scale = {.factor = kMuchTooLarge, .good_steps = 0};
  checkpoint::update_state(checkpoints_, state);

  const auto next = trainer(/*micro_rows=*/0, at::kHalf);
  next->use_checkpoints(checkpoints_);
  ASSERT_EQ(next->steps_done(), state.step);
  const at::Tensor before = weights_of(*next);
  const at::Tensor after = train_epochs(*next, kEpochs);
  EXPECT_TRUE(is_finite(next->parameters()));
  EXPECT_GT(most_moved(before, after), 0.0);
  next->save();
  const checkpoint::TrainState end = saved_state();
  EXPECT_LT(end.loss_scale.factor, kMuchTooLarge);
  EXPECT_LT(end.optimizer_steps, end.step) << "some were skipped";
  EXPECT_GT(end.optimizer_steps, state.optimizer_steps) << "and the last ones not";
}

TEST_F(UnitTrainerTest, ACheckpointOfWeightsThatAreNoNumbersIsLikeADamagedOne) {
  const auto broken = trainer();
  broken->use_checkpoints(checkpoints_);
  train_epochs(*broken, 1);
  broken->parameters().masters().fill_(std::numeric_limits<double>::quiet_NaN());
  broken->save();
  ASSERT_GT(saved_state().step, 0);

  const auto again = trainer();
  again->use_checkpoints(checkpoints_);
  EXPECT_EQ(again->steps_done(), 0);
  EXPECT_TRUE(checkpoint::list_checkpoints(checkpoints_).empty()) << "put aside";
  const auto fresh = trainer();
  EXPECT_TRUE(same_bits(weights_of(*again), weights_of(*fresh)));
  EXPECT_TRUE(same_bits(train_epochs(*again, 1), train_epochs(*fresh, 1))) << "nothing of its moments is left";
}

}  // namespace
}  // namespace bertcram::train
